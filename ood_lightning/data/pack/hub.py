"""Data sets of the Hugging Face hub as sources of pictures: the Parquet files of chosen splits, at one commit.

Files are listed by the hub's own client, with its endpoint and token, and fetched by ours: tried again, gone on with,
compared with the SHA-256 that the hub lists. They lie as in the repository, so the folder can be packed offline too.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import quote

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile

from ood_lightning.data.pack.hub_splits import Groups, chosen, grouped, size_in_words
from ood_lightning.data.pack.listings import PICTURES, Listing
from ood_lightning.data.pack.parquet import parquet_listing
from ood_lightning.data.remote import download
from ood_lightning.data.remote.fetch import ON_HUB, cache, fetch_to
from ood_lightning.errors import RefusedError, SourceError, first_line
from ood_lightning.plurals import many
from ood_lightning.progress import bar

CONVERTED = "refs/convert/parquet"


@dataclass(frozen=True)
class OnHub:
    """A folder of a data set at one commit.

    Args:
        repository: `OWNER/DATASET`.
        commit: to which the revision was resolved, so that the bytes cannot change.
        folder: within it; empty: all of it.
        endpoint: the hub's address.
        files: all that lie in the folder.
    """

    repository: str
    commit: str
    folder: str
    endpoint: str
    files: tuple[RepoFile, ...]

    @property
    def name(self) -> str:
        """The folder as a source, with its commit."""
        return f"hf:{self.repository}@{self.commit}" + f"/{self.folder}" * bool(self.folder)

    @property
    def page(self) -> str:
        """The data set's address."""
        return f"{self.endpoint}/datasets/{self.repository}"

    @property
    def place(self) -> Path:
        """Folder of its fetched files on this machine."""
        return cache() / "hub" / self.repository / self.commit


def hub_listing(source: str, split: str | None) -> Listing:
    """Pictures of a split of a data set on the hub; its files are fetched if they are not yet.

    Args:
        source: `hf:OWNER/DATASET`, with `@REVISION` and `/FOLDER` if wanted.
        split: as the files' names say it; several with `+`; None: the only one.

    Raises:
        SourceError: there is no such data set, revision, folder or split; it cannot be reached or fetched; it is gated;
            the split is not one alone; it is stored in another form than Parquet.
        ShardContentError: a file has other bytes than the hub lists, or is no Parquet.
    """
    found = _listed(source)
    tables = [file for file in found.files if file.path.endswith(".parquet")]
    if not tables:
        raise SourceError(_in_another_form(found))
    groups: Groups[RepoFile] = grouped(tables, lambda file: file.path)
    files = chosen(groups, split, f"hf:{found.repository}{_given_revision(source)}", lambda file: file.size)
    files.sort(key=lambda file: PurePosixPath(file.path))  # as a local copy is read
    listing = parquet_listing(_fetched(found, files))
    listing.origin = " ".join([found.name, *(f"split {split}" for split in [split] if split)])
    total = size_in_words(sum(file.size for file in files))
    listing.fetched = f"{many(len(files), 'Parquet file')}, {total}, in {found.place}"
    listing.notes = {
        "hub": {
            "dataset": found.repository,
            "commit": found.commit,
            "files": [{"path": f.path, "bytes": f.size, "sha256": f.lfs.sha256 if f.lfs else ""} for f in files],
        }
    }
    return listing


def _given_revision(source: str) -> str:
    found = ON_HUB.fullmatch(source)
    return f"@{found[2]}" if found and found[2] else ""


def _listed(source: str) -> OnHub:
    """What lies there, and at which commit."""
    parts = ON_HUB.fullmatch(source)
    if not parts:
        raise SourceError(
            f"{source!r}: expected hf:OWNER/DATASET, with @REVISION and /FOLDER behind it if wanted; --split chooses"
        )
    repository, revision, folder = parts[1], parts[2], parts[3] or ""
    api = HfApi()
    try:
        commit = api.dataset_info(repository, revision=revision).sha or ""
        entries = api.list_repo_tree(
            repository, folder or None, recursive=True, revision=commit, repo_type="dataset", expand=False
        )
        files = tuple(entry for entry in entries if isinstance(entry, RepoFile))
    except GatedRepoError as error:
        raise SourceError(_gated(repository, f"{api.endpoint}/datasets/{repository}", first_line(error))) from None
    except RepositoryNotFoundError:
        raise SourceError(
            f"the hub shows no data set {repository!r}: it is misspelt, or private (`hf auth login`, or HF_TOKEN with "
            f"a token that may read it; one that has expired hides public sets too)"
        ) from None
    except RevisionNotFoundError:
        hint = "; the hub has not converted it to Parquet" * (revision == CONVERTED)
        raise SourceError(f"{repository} has no revision {revision!r}{hint}") from None
    except EntryNotFoundError:
        raise SourceError(f"{repository} has no folder {folder!r} at revision {revision or 'main'}") from None
    except Exception as error:  # of its HTTP library, which has been another in each major version
        cause = first_line(error).rstrip(".")
        raise SourceError(
            f"{source} cannot be listed, the hub at {api.endpoint} is not reached: {cause}. Without a network, fetch "
            f"its files where there is one (`hf download {repository} --repo-type dataset --local-dir FOLDER`), and "
            f"pack FOLDER."
        ) from None
    if any(".." in (path := PurePosixPath(file.path)).parts or path.is_absolute() for file in files):
        raise SourceError(f"{source}: the hub lists a file outside the data set")
    return OnHub(repository, commit, folder, api.endpoint, files)


def _fetched(found: OnHub, files: Sequence[RepoFile]) -> list[Path]:
    """Where the files lie on this machine, fetched one after another."""
    paths = []
    before = 0
    with bar(sum(file.size for file in files), f"fetch {found.repository}", "B") as progress_bar:

        def told(held: int) -> None:
            progress_bar.update(before + held - progress_bar.n)

        token = get_token()
        authorization = f"Bearer {token}" if token else ""
        for file in files:
            url = f"{found.endpoint}/datasets/{found.repository}/resolve/{found.commit}/{quote(file.path)}"
            target = found.place / file.path
            transfer = partial(_transfer, url, authorization, told)
            sha256 = file.lfs.sha256 if file.lfs else ""
            try:
                fetch_to(target, transfer, download.redacted(url), lambda _: None, file.size, sha256, goes_on=True)
            except RefusedError as error:
                if error.status in (401, 403):
                    raise SourceError(_gated(found.repository, found.page, str(error))) from None
                raise
            paths.append(target)
            before += file.size
            told(0)
    return paths


def _transfer(url: str, authorization: str, told: download.Told, file: IO[bytes], size: int | None) -> None:
    download.download(url, file, size, authorization, told)


def _gated(repository: str, page: str, cause: str) -> str:
    return (
        f"{repository} is gated: its files are given to accounts that its owners have let in. Agree to their terms on "
        f"{page}, then `hf auth login`, or HF_TOKEN with a token of that account, and the same command again ({cause})"
    )


def _in_another_form(found: OnHub) -> str:
    """What to do with a data set that is no Parquet."""
    endings = Counter(PurePosixPath(file.path).suffix.lower() or "no ending" for file in found.files)
    holds = ", ".join(f"{n} {ending}" for ending, n in endings.most_common(6)) or "nothing"
    fetch = f"hf download {found.repository} --revision {found.commit} --repo-type dataset --local-dir raw/FOLDER"
    converted = f"hf:{found.repository}@{CONVERTED}"
    if endings[".tar"]:
        tar = next(file.path for file in found.files if file.path.endswith(".tar"))
        told = (
            f"If the tars are WebDataset shards they need no packing: name them where shards go, "
            f"`--shards 'hf:{found.repository}@{found.commit}/{tar}'`, with a brace list for several. Tars of another "
            f"form: `{fetch}`, then `data pack raw/FOLDER/{tar}`"
        )
    elif any(endings[f".{ending}"] for ending in PICTURES):
        told = f"Pictures in files of their own are packed from a folder: `{fetch}`, then `data pack raw/FOLDER`"
    elif any(endings[ending] for ending in (".zip", ".gz", ".tgz", ".xz", ".bz2", ".zst")):
        told = f"Archives are packed from this machine: `{fetch}`, then `data pack` of the .zip or unpacked tar in it"
    else:
        told = f"`{fetch}` fetches it; `data pack` reads folders of pictures, lists, archives and Parquet"
    return f"{found.name} holds no Parquet files, but {holds}. {told}. Or the hub has converted it: `{converted}`."
