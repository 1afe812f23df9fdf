"""Write the repository's address into pyproject.toml, notebooks, READMEs and exercises.

    python tools/address.py                                    the address of git's remote `origin`
    python tools/address.py https://github.com/owner/name      this one

Run it once after publishing the course under another name (`make address`, or `make address ADDRESS=...`).
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def repository():
    """Return the repository's address from pyproject.toml, the one place where it is kept."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["urls"]["Repository"]


def remote(folder=ROOT):
    """Return `web_address` of git's remote `origin`; None without git, or without a remote."""
    command = ["git", "-C", str(folder), "remote", "get-url", "origin"]
    try:
        found = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return web_address(found.stdout) if found.returncode == 0 else None


def web_address(url):
    """Return https://HOST/OWNER/NAME for a URL that git clones from, or None for a path or anything without a host.

    User names, tokens and the suffix `.git` are removed.
    """
    url, path = url.strip().removesuffix("/").removesuffix(".git"), r"(?P<path>[\w.~-]+(?:/[\w.~-]+)+)"
    for start in (r"(?:https|ssh)://(?:[^/@]+@)?(?P<host>[\w.-]+)(?::\d+)?/", r"git@(?P<host>[\w.-]+):/?"):
        if found := re.fullmatch(start + path, url):
            return f"https://{found['host']}/{found['path']}"
    return None


def with_address(text, address):
    """Return a text with the address in set-up cells, links to notebooks, and links to Binder and Colab."""
    owner_and_name = "/".join(address.split("/")[-2:])
    text = re.sub(r'(REPOSITORY = \\?")[^"\\]*', lambda match: match[1] + address, text)
    text = re.sub(r"(git clone (?:--bare )?)https://[^\s`]+", lambda match: match[1] + address, text)
    text = re.sub(rf"(git clone {re.escape(address)}\ncd )\S+", lambda match: match[1] + address.split("/")[-1], text)
    text = re.sub(r"https://(?!colab\.)[^\s()\"]+(?=/blob/HEAD/notebooks/)", lambda _: address, text)
    return re.sub(
        r"(mybinder\.org/v2/gh/|colab\.research\.google\.com/github/)[^/\s]+/[^/\s]+",
        lambda match: match[1] + owner_and_name,
        text,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", metavar="URL", help="address to write; that of `origin` by default")
    arguments = parser.parse_args()
    address = web_address(arguments.address) if arguments.address else remote()
    if not address:
        parser.error(
            f"{arguments.address or 'the remote `origin`'} is not an address such as https://github.com/owner/name"
        )
    path = ROOT / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'^(Repository = ")[^"]*', lambda match: match[1] + address, text, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"the repository's address is {address}")
    return subprocess.run([sys.executable, str(ROOT / "tools" / "clean_notebooks.py")]).returncode


if __name__ == "__main__":
    sys.exit(main())
