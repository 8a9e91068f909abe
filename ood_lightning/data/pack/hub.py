"""Data sets of the Hugging Face hub as sources of pictures: the Parquet files of chosen splits, at one commit.

Both steps go through the hub's own client, with its endpoint, its token and its cache (`$HF_HOME`): the files of a
commit are listed, and `snapshot_download` fetches those of the split. The client compares their sizes alone, so the
SHA-256 that the hub lists is compared here. The fetched folder has the layout of the repository, and can be packed
again without a network.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import escape
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from tqdm import tqdm

from ood_lightning.data.pack.hub_splits import Groups, chosen, grouped
from ood_lightning.data.pack.listings import Listing
from ood_lightning.data.pack.parquet import parquet_listing
from ood_lightning.data.remote.addresses import ON_HUB
from ood_lightning.data.remote.hub import client_words
from ood_lightning.data.shards.formats import PICTURE_ENDINGS
from ood_lightning.errors import ShardContentError, SourceError
from ood_lightning.file_names import path_fault
from ood_lightning.hashes import sha256_of
from ood_lightning.plurals import many

CONVERTED = "refs/convert/parquet"
ARCHIVES = (".zip", ".gz", ".tgz", ".xz", ".bz2", ".zst")


class HubSource(NamedTuple):
    """A folder of a data set on the hub, as a person names it.

    Attributes:
        repository: `OWNER/DATASET`.
        revision: branch, tag or commit; empty: `main`.
        folder: within the data set; empty: all of it.
    """

    repository: str
    revision: str
    folder: str

    def __str__(self) -> str:
        return self.data_set + (f"/{self.folder}" if self.folder else "")

    @property
    def data_set(self) -> str:
        """The source without its folder."""
        return f"hf:{self.repository}" + (f"@{self.revision}" if self.revision else "")


def hub_listing(text: str, split: str | None) -> Listing:
    """Images of a split of a data set on the hub; files that the client's cache lacks are fetched.

    Args:
        text: `hf:OWNER/DATASET`, with `@REVISION` and `/FOLDER` if wanted.
        split: as the files' names say it; several with `+`; None: the only one.

    Raises:
        SourceError: there is no such data set, revision, folder or split; it cannot be reached or fetched; it is gated;
            the split is not one alone; it is stored in another form than Parquet.
        ShardContentError: a file has other bytes than the hub lists, or is no Parquet.
    """
    parts = ON_HUB.fullmatch(text)
    if not parts:
        raise SourceError(
            f"{text!r}: expected hf:OWNER/DATASET, with @REVISION and /FOLDER behind it if wanted; --split chooses"
        )
    source = HubSource(parts[1], parts[2] or "", parts[3] or "")

    commit, all_files = _list_files(source)
    at_commit = source._replace(revision=commit)
    tables = [file for file in all_files if file.path.lower().endswith(".parquet")]
    if not tables:
        raise SourceError(_how_to_pack_another_form(at_commit, [file.path for file in all_files]))

    groups: Groups[RepoFile] = grouped(tables, lambda file: file.path)
    files = sorted(
        chosen(groups, split, source.data_set, lambda file: file.size),
        key=lambda file: PurePosixPath(file.path),  # the order in which a local copy is read
    )
    snapshot = _fetch(source, commit, files)

    listing = parquet_listing([snapshot / file.path for file in files])
    listing.origin = f"{at_commit} split {split}" if split else str(at_commit)
    total = tqdm.format_sizeof(sum(file.size for file in files), "B")
    listing.fetched = (
        f"{many(len(files), 'Parquet file')}, {total}, in {snapshot} (`hf cache rm dataset/{source.repository}` "
        f"removes them)"
    )
    listing.notes = {
        "hub": {
            "dataset": source.repository,
            "commit": commit,
            "files": [{"path": file.path, "bytes": file.size, "sha256": _sha256_listed(file)} for file in files],
        }
    }
    return listing


def _list_files(source: HubSource) -> tuple[str, list[RepoFile]]:
    """The commit that the revision stands for now, and all files of the folder at it."""
    api = HfApi()
    with _client_errors_in_words(source, "listed"):
        commit = api.dataset_info(source.repository, revision=source.revision or None).sha or ""
        files = [
            entry
            for entry in api.list_repo_tree(
                source.repository, source.folder or None, recursive=True, revision=commit, repo_type="dataset"
            )
            if isinstance(entry, RepoFile)
        ]

    for file in files:
        if fault := path_fault(file.path):
            raise SourceError(f"{source}: the hub lists the file {file.path!r}, but {fault}")
    return commit, files


def _fetch(source: HubSource, commit: str, files: Sequence[RepoFile]) -> Path:
    """Folder of the client's cache that holds these files now; files that it held before are not fetched again."""
    with _client_errors_in_words(source, "fetched"):
        snapshot = snapshot_download(
            source.repository,
            repo_type="dataset",
            revision=commit,
            allow_patterns=[escape(file.path) for file in files],
        )

    for file in files:
        path = Path(snapshot, file.path)
        expected = _sha256_listed(file)
        if expected and sha256_of(path) != expected:
            path.resolve().unlink()  # the cache would serve these bytes for ever, to others too
            path.unlink(missing_ok=True)  # the link to them
            raise ShardContentError(
                f"the bytes of {source.data_set}/{file.path} are not those that the hub lists (SHA-256 "
                f"{expected[:12]}...): they were changed on the way. They are removed; the same command fetches them "
                f"again."
            )
    return Path(snapshot)


def _sha256_listed(file: RepoFile) -> str:
    """SHA-256 of a large file; a small one lies in git itself, without one."""
    return file.lfs.sha256 if file.lfs else ""


@contextmanager
def _client_errors_in_words(source: HubSource, action: str) -> Iterator[None]:
    """What the hub's client raises, as an error that says what to do, without tokens and signed addresses."""
    try:
        yield
    except Exception as error:  # also those of its HTTP library, which has been another in each major version
        cause = client_words(error).rstrip(".")
        raise SourceError(_what_to_do(error, cause, source, action)) from None


def _what_to_do(error: Exception, cause: str, source: HubSource, action: str) -> str:
    repository = source.repository
    endpoint = HfApi().endpoint

    if isinstance(error, GatedRepoError):
        return (
            f"{repository} is gated: its files are given to accounts that its owners have let in. Agree to their terms "
            f"on {endpoint}/datasets/{repository}, then `hf auth login`, or HF_TOKEN with a token of that account, and "
            f"the same command again ({cause})"
        )
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"the hub shows no data set {repository!r}: it is misspelt, or private (`hf auth login`, or HF_TOKEN with "
            f"a token that may read it; one that has expired hides public sets too)"
        )
    if isinstance(error, RevisionNotFoundError):
        hint = "; the hub has not converted it to Parquet" if source.revision == CONVERTED else ""
        return f"{repository} has no revision {source.revision!r}{hint}"
    # the client's word for "not reached, and not in the cache either" is an EntryNotFoundError too
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return f"{repository} has no folder {source.folder!r} at revision {source.revision or 'main'}"

    return (
        f"{source} cannot be {action} from the hub at {endpoint}: {cause}. Files that came whole are kept, and the "
        f"same command goes on. Without a network, fetch them where there is one (`hf download {repository} "
        f"--repo-type dataset --local-dir FOLDER`), and pack FOLDER."
    )


def _how_to_pack_another_form(source: HubSource, paths: Sequence[str]) -> str:
    """What to do with a data set that has no Parquet files; `source` names its commit."""
    endings = Counter(PurePosixPath(path).suffix.lower() or "no ending" for path in paths)
    counts = ", ".join(f"{n} {ending}" for ending, n in endings.most_common(6)) or "nothing"
    fetch = f"hf download {source.repository} --revision {source.revision} --repo-type dataset --local-dir raw/FOLDER"
    converted = source._replace(revision=CONVERTED).data_set

    if endings[".tar"]:
        tar = next(path for path in paths if path.lower().endswith(".tar"))
        advice = (
            f"If the tars are WebDataset shards they need no packing: name them where shards go, "
            f"`--shards '{source.data_set}/{tar}'`, with a brace list for several. Tars of another form: `{fetch}`, "
            f"then `data pack raw/FOLDER/{tar}`"
        )
    elif any(endings[f".{ending}"] for ending in PICTURE_ENDINGS):
        advice = f"Pictures in files of their own are packed from a folder: `{fetch}`, then `data pack raw/FOLDER`"
    elif any(endings[ending] for ending in ARCHIVES):
        advice = f"Archives are packed from this machine: `{fetch}`, then `data pack` of the .zip or unpacked tar in it"
    else:
        advice = f"`{fetch}` fetches it; `data pack` reads folders of pictures, lists, archives and Parquet"
    return f"{source} holds no Parquet files, but {counts}. {advice}. Or the hub has converted it: `{converted}`."
