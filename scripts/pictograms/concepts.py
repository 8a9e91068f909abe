"""The table of concepts: what each drawing shows, in plain English nouns, by group and by vendor.

Run by `build.py --stage concepts`; writes ``WORK/concepts.json``. A concept is one emoji code point sequence. Five
vendors ship a table of code points; the other drawings are found by their names. The names follow Unicode's CLDR
names; `names.json` turns them into the noun that one would say ('fish cake with swirl' -> 'fish cake'), and several
drawings of one thing into one name ('waxing gibbous moon' -> 'moon').
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from sources import VENDORS

RENAMES: dict[str, str] = json.loads((Path(__file__).parent / "names.json").read_text())
NAMERS = ("twemoji", "noto", "openmoji")  # whose icon names are CLDR names, best first
HOURS = "one two three four five six seven eight nine ten eleven twelve"
SOMEBODY = "man|woman|men|women|person|people|family|couple|kiss|boy|girl"
PLAIN_PEOPLE = {"man", "woman", "boy", "girl", "family", "person"}
HEART_COLOURS = "red blue green yellow black white brown orange grey pink light purple"


@dataclass(frozen=True)
class Concept:
    """One code point sequence, its name, its group and the icon by which each vendor draws it."""

    code: str
    name: str
    cldr: str
    short: list[str]
    group: str
    subgroup: str
    drawings: dict[str, str]

    @property
    def texts(self) -> list[str]:
        """Every text that stands for this concept, the chosen name first."""
        return list(dict.fromkeys([self.name, self.cldr, *self.short]))


def canonical(code: str) -> str:
    """Lower-case code points without the variation selector and without leading zeros."""
    return "-".join(f"{int(part, 16):x}" for part in code.split("-") if part.lower() != "fe0f")


def slug(text: str) -> str:
    """A name as icon sets write it."""
    plain = text.lower().replace("’", "").replace("'", "").replace("&", "and")
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def read_json(path: Path) -> dict:
    """A JSON file's object; empty where there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def known_codes(packages: Path) -> dict[str, dict]:
    """emoji-datasource's entries by canonical code."""
    entries = json.loads((packages / "emoji-datasource" / "emoji.json").read_text(encoding="utf-8"))
    known = {canonical(entry["unified"]): entry for entry in entries}
    for entry in entries:
        if entry.get("non_qualified"):
            known.setdefault(canonical(entry["non_qualified"]), entry)
    return known


def drawings_by_code(packages: Path, known: dict[str, dict]) -> dict[str, dict[str, str]]:
    """``code -> vendor -> icon``: from the vendors' own tables first, then by name for vendors without one."""
    drawn: dict[str, dict[str, str]] = defaultdict(dict)
    codes_of: dict[str, Counter[str]] = defaultdict(Counter)  # name -> the codes that vendors give it
    unlisted = []
    for vendor in sorted(VENDORS):
        table = read_json(packages / vendor / "chars.json")
        if not table:
            unlisted.append(vendor)
        for raw, icon in table.items():
            code = canonical(raw)
            if code in known:
                drawn[code][vendor] = icon
                for name in (icon, icon.replace("-", "")):
                    codes_of[name][code] += 1

    for code, entry in known.items():
        spoken = {slug(entry["name"] or ""), *(slug(short.replace("_", "-")) for short in entry["short_names"])}
        for name in sorted(spoken - {""}):
            for spelling in (name, name.replace("-", "")):
                if spelling not in codes_of:
                    codes_of[spelling][code] += 1

    for vendor in unlisted:
        icons = read_json(packages / vendor / "icons.json")
        for icon in [*icons["icons"], *icons.get("aliases", {})]:
            spellings = (icon, icon.replace("-", ""), icon.replace("flagfor", "flag-"))
            match = next((s for s in spellings if s in codes_of), None)
            if match is not None:
                drawn[codes_of[match].most_common(1)[0][0]].setdefault(vendor, icon)
    return drawn


def noun(cldr: str) -> str:
    """The noun that one would say for a CLDR name."""
    if re.match(rf"^({HOURS.replace(' ', '|')}) (oclock|thirty)$", cldr):
        return "clock"
    return RENAMES.get(cldr, cldr)


def group_and_name(cldr: str, category: str, subgroup: str) -> tuple[str, str] | None:
    """Group and name of a concept; None for drawings that are left out (skin tones, persons at some activity)."""
    name = noun(cldr)

    match category:
        case "Animals & Nature":
            plant = subgroup.startswith("plant") or cldr in ("empty nest", "nest with eggs")
            return ("plants" if plant else "animals"), name
        case "Food & Drink":
            return "food", name
        case "Travel & Places":
            return ("places" if subgroup.startswith(("place", "sky", "time", "hotel")) else "transport"), name
        case "Flags":
            return "flags", f"flag of {cldr[5:]}" if cldr.startswith("flag ") else cldr
        case "Smileys & Emotion":
            if subgroup == "heart" and cldr.endswith("heart") and cldr.split()[0] in HEART_COLOURS.split():
                name = "heart"
            return ("symbols" if subgroup in ("heart", "emotion") else "faces"), name
        case "People & Body":
            at_something = re.match(rf"^({SOMEBODY})\b", cldr) and cldr not in PLAIN_PEOPLE
            return None if at_something else ("people", name)
        case "Objects" | "Activities" | "Symbols":
            return category.lower(), name
    return None


def build(packages: Path) -> list[Concept]:
    """All concepts, sorted by group and code."""
    known = known_codes(packages)
    concepts = []
    for code, drawings in drawings_by_code(packages, known).items():
        entry = known[code]
        namer = next((vendor for vendor in NAMERS if vendor in drawings), None)
        if namer is None:
            continue

        cldr = drawings[namer].replace("-", " ")
        placed = group_and_name(cldr, entry["category"], entry["subcategory"])
        if placed is not None:
            group, name = placed
            short = [text.replace("_", " ") for text in entry["short_names"]]
            ordered = {vendor: drawings[vendor] for vendor in VENDORS if vendor in drawings}
            concepts.append(Concept(code, name, cldr, short, group, entry["subcategory"], ordered))

    return sorted(concepts, key=lambda concept: (concept.group, concept.code))


def save(concepts: list[Concept], path: Path) -> None:
    """Write the table, one concept a line."""
    lines = ",\n".join(json.dumps(asdict(concept), ensure_ascii=False) for concept in concepts)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def load(path: Path) -> list[Concept]:
    """Read what :func:`save` wrote."""
    return [Concept(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
