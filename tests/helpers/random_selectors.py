# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random selectors, most of which select some entries of a table, each in one of the notations of docs/selectors.md."""

from __future__ import annotations

import dataclasses
import ipaddress
import pathlib
import random
import re
import typing as t

import yaml
from helpers.conntrack_tool import IDENTITY, Entry
from helpers.idle_oracle import Moment, age, idle
from helpers.selector_oracle import KEYS, PROTOCOLS, Selector
from helpers.support import CHECKOUT

_NAMES = {number: name for name, number in PROTOCOLS.items()}
_ADDRESSES = ("source", "destination", "reply_source", "reply_destination")
_AS_THEY_ARE = ("family", "state", "replied", "assured", "offloaded", "expected", "helper")
_AMOUNTS: tuple[str, ...] = ("remaining", "idle", "age", "packets", "bytes", "packets_original", "packets_reply")
_AMOUNTS += ("bytes_original", "bytes_reply")
_DURATIONS = ("remaining", "idle", "age")
_SECTION = re.compile(r"^### `(\w+)`\n.*?```yaml\n(.*?)```", re.MULTILINE | re.DOTALL)


def names_of_the_page() -> dict[str, tuple[list[Selector], list[Selector]]]:
    """Return the selectors with a name, as the sections of the page have them: match and exclude."""
    text = (CHECKOUT / "docs" / "selectors.md").read_text(encoding="utf-8")
    read = {name: yaml.safe_load(block) for name, block in _SECTION.findall(text)}
    return {name: (of_name["match"], of_name.get("exclude", [])) for name, of_name in read.items()}


NAMES = names_of_the_page()


@dataclasses.dataclass
class Selection:
    """What is selected, for the oracle, and ``options``: the same as it is written for the modules."""

    match: list[Selector]
    exclude: list[Selector]
    names: list[str]
    options: dict[str, t.Any]

    @property
    def keys(self) -> set[str]:
        """Every key of it, also those of names."""
        named = [selector for name in self.names for part in NAMES[name] for selector in part]
        return {key for selector in (*self.match, *self.exclude, *named) for key in selector}


class Selectors:
    """Makes selectors for the entries of one table; ``directory`` gets the files of addresses."""

    def __init__(
        self, entries: t.Iterable[Entry], moment: Moment, chance: random.Random, directory: pathlib.Path
    ) -> None:
        self._entries = sorted(entries, key=lambda entry: [str(entry[field]) for field in IDENTITY])
        self._moment, self._chance, self._directory = moment, chance, directory

    def make(self, *, of_idle: bool = True) -> Selection:
        """Return a selection. Without ``of_idle``, it asks nothing about the idle time."""
        chance = self._chance
        match = [self._selector(of_idle) for _number in range(chance.choice((1, 1, 1, 2, 3)))]
        exclude = [self._selector(of_idle) for _number in range(chance.choice((0, 0, 0, 1, 2)))]
        names: list[str] = []
        if chance.random() < 0.1:
            names = chance.sample(sorted(name for name in NAMES if of_idle or not name.startswith("idle")), 2)
            match = chance.choice((match, []))
        options: dict[str, t.Any] = {"match": self._written(match)} if match else {}
        if exclude:
            options["exclude"] = self._written(exclude)
        if names:
            options["select"] = names
        return Selection(match, exclude, names, options)

    def _written(self, selectors: list[Selector]) -> t.Any:
        """Return the selectors in one of the notations."""
        if len(selectors) == 1 and self._chance.random() < 0.3:
            return _text(selectors[0]) or selectors[0]
        return [(self._chance.random() < 0.2 and _text(selector)) or selector for selector in selectors]

    def _selector(self, of_idle: bool) -> Selector:
        """Return a selector whose keys are those of one entry, most of their values as well."""
        chance, entry = self._chance, self._chance.choice(self._entries)
        possible = [key for key in KEYS if of_idle or key != "idle"]
        chance.shuffle(possible)
        selector: Selector = {}
        wanted = chance.choice((1, 1, 2, 2, 3, 4))
        for key in possible:
            model = entry if chance.random() < 0.8 else chance.choice(self._entries)
            value = self._value(key, model)
            if value is not None and self._value(key, entry) is not None:
                selector[key] = value
            if len(selector) == wanted:
                break
        return selector

    def _several(self, values: t.Sequence[t.Any]) -> t.Any:
        """Return one or a few values, as a list or not."""
        chosen = self._chance.sample(list(values), min(len(values), self._chance.choice((1, 1, 2, 3))))
        return chosen[0] if len(chosen) == 1 and self._chance.random() < 0.7 else chosen

    def _value(self, key: str, entry: Entry) -> t.Any:
        """Return a value for the key with which it holds for the entry, or nearly. None if the entry has none."""
        chance = self._chance
        if key in _AS_THEY_ARE:
            found = entry[key]
            if found is None or isinstance(found, bool):
                return found
            return self._several([found, *{other[key] for other in chance.sample(self._entries, 3)} - {None, found}])
        if key == "protocol":
            return self._several([self._protocol(each["protocol"]) for each in (entry, chance.choice(self._entries))])
        if key == "nat":
            return self._several([*(sorted(entry["nat"]) or ["none"]), chance.choice(("snat", "dnat", "none"))])
        if key in _ADDRESSES:
            return self._several([self._network(entry[key]), self._network(chance.choice(self._entries)[key])])
        if key == "address":
            return self._network(entry[chance.choice(_ADDRESSES)])
        if key.endswith("_list"):
            return self._file([self._network(entry[chance.choice(_ADDRESSES)]) for _line in range(3)])
        if key in _AMOUNTS:
            return self._ranges(key, entry)
        return self._number(key, entry)

    def _protocol(self, number: int) -> str | int:
        return self._chance.choice((_NAMES.get(number, str(number)), number, str(number)))

    def _number(self, key: str, entry: Entry) -> t.Any:
        chance = self._chance
        if key == "label":
            return self._several(entry["labels"]) if entry["labels"] else None
        number = entry[key]
        if number is None:
            return None
        if key == "mark":
            mask = chance.choice((0xFF, 0x10, 0xFFFF0000, 0xFFFFFFFF))
            return chance.choice((number, hex(number), f"{number & mask:#x}/{mask:#x}", [number, "0x12"]))
        if key.startswith("zone"):
            return self._several([number, number ^ 1])
        least, most = max(0, number - chance.randrange(3)), number + chance.randrange(2)
        if key == "id" or most > 0xFFFF or key.endswith(("type", "code")):
            most = number
        return chance.choice((number, str(number), f"{least}-{most}", f"{least}:{most}", [number, least]))

    def _network(self, address: str) -> str:
        """Return the address, a network that it is in, or, as IPv6, what it is mapped to."""
        chance = self._chance
        width = 32 if ":" not in address else 128
        bits = chance.choice((width, width, width - 1, width - 2, width - 8, width - 16, 1))
        network = ipaddress.ip_network(f"{address}/{bits}", strict=False)
        if width == 32 and chance.random() < 0.1:
            return f"::ffff:{address}"
        return address if bits == width and chance.random() < 0.7 else str(network)

    def _file(self, networks: t.Iterable[str]) -> str:
        # The files of earlier selectors stay as they are.
        path = self._directory / f"addresses-{sum(1 for _path in self._directory.iterdir())}.txt"
        path.write_text("# addresses\n" + "".join(f"{network} ; one\n" for network in networks), encoding="utf-8")
        return str(path)

    def _ranges(self, key: str, entry: Entry) -> t.Any:
        """Return one or two ranges with an end at the entry's amount, or next to it."""
        amount = self._amount(key, entry)
        if amount is None:
            # To ask for it of an entry that does not have it is worth a try.
            return {"max": 1000} if self._chance.random() < 0.2 else None
        return self._several([self._range(key, amount), self._range(key, amount + self._chance.randrange(2000))])

    def _amount(self, key: str, entry: Entry) -> int | None:
        if key in ("idle", "age"):
            return (idle if key == "idle" else age)(entry, self._moment)
        if key in ("packets", "bytes"):
            original, reply = entry[f"{key}_original"], entry[f"{key}_reply"]
            return None if original is None else original + reply
        found: int | None = entry[key]
        return found

    def _range(self, key: str, amount: int) -> dict[str, t.Any]:
        chance = self._chance
        edge = max(0, amount + chance.choice((-1, 0, 0, 0, 1)))
        ends: dict[str, t.Any] = chance.choice(({"min": edge}, {"max": edge}, {"min": edge, "max": edge + 60}))
        units = {"s": 1, "m": 60, "h": 3600} if key in _DURATIONS else {"K": 1024}
        unit = chance.choice(sorted(units))
        if len(ends) == 1 and chance.random() < 0.3:
            ends = {end: f"{value // units[unit]}{unit}" for end, value in ends.items()}
        return ends


def _text(selector: Selector) -> str | None:
    """Return the selector as a text, None where one cannot write it."""
    words = []
    for key, value in selector.items():
        if isinstance(value, dict):
            words += [f"{key}.{end}={limit}" for end, limit in value.items()]
        elif isinstance(value, list):
            if any(isinstance(each, dict) for each in value):
                return None
            words.append(f"{key}={','.join(map(str, value))}")
        else:
            words.append(f"{key}={str(value).lower() if isinstance(value, bool) else value}")
    return " ".join(words)
