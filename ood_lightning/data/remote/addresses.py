"""Addresses of remote files, `https:`, `hf:`, `s3:` and `pipe:`: their parts, and how messages name them."""

import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

HF, S3, PIPE = "hf:", "s3:", "pipe:"

# hf:OWNER/DATASET@REVISION/PATH; of revisions with a slash, those that the hub itself makes
ON_HUB = re.compile(r"hf:([\w.-]+/[\w.-]+)(?:@(refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/+(.*?))?/*")


def redacted(source: str) -> str:
    """An address as messages may print it: of a URL no user, password or query (a signature), of a command one word."""
    if source.startswith(PIPE):
        words = source.removeprefix(PIPE).split()
        return f"{PIPE}{words[0] if words else ''} ..."
    if source.startswith("http"):
        parts = urlsplit(source)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return source


def file_name(source: str) -> str:
    """Last part of an address's path; of a command, the last word in it that ends like a tar."""
    if source.startswith(PIPE):
        words = re.split(r"[\s'\"?]+", source.removeprefix(PIPE))
        tars = [word.rpartition("/")[2] for word in words if word.endswith(".tar")]
        return tars[-1] if tars else "pipe.tar"

    path = unquote(urlsplit(source).path) if source.startswith("http") else source
    return path.rstrip("/").rpartition("/")[2]


def below(folder: str, name: str) -> str:
    """The address of a file in a remote folder; a query (a signature) stays at the end."""
    if not folder.startswith("http"):
        return f"{folder.rstrip('/')}/{name}"
    parts = urlsplit(folder)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}"))


def beside(source: str, name: str) -> str:
    """The address of a file in the folder of another."""
    if not source.startswith("http"):
        return f"{source.rpartition('/')[0]}/{name}"
    parts = urlsplit(source)
    return urlunsplit(parts._replace(path=f"{parts.path.rpartition('/')[0]}/{quote(name)}"))
