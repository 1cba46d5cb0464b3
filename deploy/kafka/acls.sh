#!/bin/sh
# Generated from the services' own values by `make generate`. Do not edit.
# usage: acls.sh SERVER:PORT admin.properties   (Kafka's kafka-acls.sh on the path, or KAFKA_ACLS naming it)
set -eu
add() { "${KAFKA_ACLS:-kafka-acls.sh}" --bootstrap-server "$server" --command-config "$login" --add "$@"; }
server=$1 login=$2
add --allow-principal User:access-to-work --operation Read --operation Describe --group access_to_work
add --allow-principal User:access-to-work --operation Read --operation Describe --topic tributary.assessment.finalised.access_to_work.v1
add --allow-principal User:access-to-work --operation Write --operation Describe --topic tributary.stream.decided.v1
add --allow-principal User:assessment --operation Write --operation Describe --topic tributary.assessment.finalised.access_to_work.v1 --topic tributary.assessment.finalised.chc.v1 --topic tributary.assessment.finalised.dfg.v1 --topic tributary.assessment.finalised.ices.v1 --topic tributary.assessment.finalised.ilf.v1 --topic tributary.assessment.finalised.ras.v1 --topic tributary.assessment.finalised.social_care.v1 --topic tributary.assessment.finalised.supporting_people.v1
add --allow-principal User:chc --operation Read --operation Describe --group chc
add --allow-principal User:chc --operation Read --operation Describe --topic tributary.assessment.finalised.chc.v1
add --allow-principal User:chc --operation Write --operation Describe --topic tributary.stream.decided.v1
add --allow-principal User:dfg --operation Read --operation Describe --group dfg
add --allow-principal User:dfg --operation Read --operation Describe --topic tributary.assessment.finalised.dfg.v1
add --allow-principal User:dfg --operation Write --operation Describe --topic tributary.stream.decided.v1
add --allow-principal User:ices --operation Read --operation Describe --group ices
add --allow-principal User:ices --operation Read --operation Describe --topic tributary.assessment.finalised.ices.v1
add --allow-principal User:ices --operation Write --operation Describe --topic tributary.stream.decided.v1
add --allow-principal User:ilf --operation Read --operation Describe --group ilf
add --allow-principal User:ilf --operation Read --operation Describe --topic tributary.assessment.finalised.ilf.v1 --topic tributary.facts.supplied.ilf.v1
add --allow-principal User:ilf --operation Write --operation Describe --topic tributary.stream.decided.v1
add --allow-principal User:operator --operation Describe --group payments --group ras --group social_care --group access_to_work --group chc --group dfg --group ices --group ilf --group supporting_people
add --allow-principal User:operator --operation Read --operation Describe --resource-pattern-type prefixed --group tributary-
add --allow-principal User:operator --operation Read --operation Describe --topic tributary.assessment.finalised.access_to_work.v1 --topic tributary.assessment.finalised.chc.v1 --topic tributary.assessment.finalised.dfg.v1 --topic tributary.assessment.finalised.ices.v1 --topic tributary.assessment.finalised.ilf.v1 --topic tributary.assessment.finalised.ras.v1 --topic tributary.assessment.finalised.social_care.v1 --topic tributary.assessment.finalised.supporting_people.v1 --topic tributary.budget.accepted.v1 --topic tributary.budget.proposed.v1 --topic tributary.facts.supplied.ilf.v1 --topic tributary.payments.budget-recorded.v1 --topic tributary.stream.decided.v1 --topic tributary.stream.late.v1
add --allow-principal User:payments --operation Read --operation Describe --group payments
add --allow-principal User:payments --operation Read --operation Describe --topic tributary.budget.accepted.v1
add --allow-principal User:payments --operation Write --operation Describe --topic tributary.payments.budget-recorded.v1
add --allow-principal User:ras --operation Read --operation Describe --group ras
add --allow-principal User:ras --operation Read --operation Describe --topic tributary.assessment.finalised.ras.v1 --topic tributary.stream.decided.v1
add --allow-principal User:ras --operation Write --operation Describe --topic tributary.budget.accepted.v1 --topic tributary.budget.proposed.v1 --topic tributary.facts.supplied.ilf.v1 --topic tributary.stream.late.v1
add --allow-principal User:social-care --operation Read --operation Describe --group social_care
add --allow-principal User:social-care --operation Read --operation Describe --topic tributary.assessment.finalised.social_care.v1
add --allow-principal User:social-care --operation Write --operation Describe --topic tributary.stream.decided.v1
add --allow-principal User:supporting-people --operation Read --operation Describe --group supporting_people
add --allow-principal User:supporting-people --operation Read --operation Describe --topic tributary.assessment.finalised.supporting_people.v1
add --allow-principal User:supporting-people --operation Write --operation Describe --topic tributary.stream.decided.v1
add --allow-principal User:topic-admin --operation Create --operation Describe --operation DescribeConfigs --operation AlterConfigs --topic tributary.assessment.finalised.access_to_work.v1 --topic tributary.assessment.finalised.chc.v1 --topic tributary.assessment.finalised.dfg.v1 --topic tributary.assessment.finalised.ices.v1 --topic tributary.assessment.finalised.ilf.v1 --topic tributary.assessment.finalised.ras.v1 --topic tributary.assessment.finalised.social_care.v1 --topic tributary.assessment.finalised.supporting_people.v1 --topic tributary.budget.accepted.v1 --topic tributary.budget.proposed.v1 --topic tributary.facts.supplied.ilf.v1 --topic tributary.payments.budget-recorded.v1 --topic tributary.stream.decided.v1 --topic tributary.stream.late.v1
