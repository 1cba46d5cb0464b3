// AsyncAPI's own parser on contracts/asyncapi.yaml: exits 1 on any error or warning, and prints each.
// It does not look into JSON Schema 2020-12; tests/contracts/test_events.py does.
import { Parser, fromFile } from '@asyncapi/parser';

const path = process.argv[2] ?? 'contracts/asyncapi.yaml';
const NAMES = ['error', 'warning', 'info', 'hint'];
// "Use a newer specification version": 3.0.0 is chosen, because more tools read it.
const ACCEPTED = new Set(['asyncapi-latest-version']);

const parser = new Parser();
const { document, diagnostics } = await fromFile(parser, path).parse();
const found = diagnostics.filter((d) => !ACCEPTED.has(d.code));
for (const d of found) {
  console.error(`${path}:${d.range.start.line + 1}: ${NAMES[d.severity]} ${d.code} at ${d.path.join('/')}: ${d.message}`);
}
if (!document || found.some((d) => d.severity <= 1)) process.exit(1);
const operations = document.operations().all().length;
console.log(`${path}: valid AsyncAPI ${document.version()}, ${document.channels().all().length} channels, ${operations} operations`);
