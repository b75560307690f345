"""All worlds of the audit, in the order of its page."""

from __future__ import annotations

from collections.abc import Sequence

from lersbench.audit import (
    adaptive,
    classification,
    crowds,
    enumerated,
    heavy,
    in_sample,
    learners,
    lists,
    periods,
    real_pair,
    unsupported,
    wrong,
)
from lersbench.audit.world import Group, World
from lersbench.errors import ConfigError

GROUPS: tuple[Group, ...] = tuple(
    one.GROUP
    for one in (
        enumerated,
        classification,
        heavy,
        crowds,
        wrong,
        unsupported,
        lists,
        learners,
        adaptive,
        periods,
        in_sample,
        real_pair,
    )
)


def chosen(names: Sequence[str]) -> list[Group]:
    """The groups of these names ("W4"), and the worlds whose names begin so ("W4 B"); all of them without names.

    ConfigError for a name that is none.
    """
    known_names = [group.name for group in GROUPS] + [world.name for group in GROUPS for world in group.worlds]
    for name in names:
        if not any(_begins(one, name) for one in known_names):
            known = ", ".join(group.name for group in GROUPS)
            raise ConfigError(f"there is no world '{name}'; there are {known}, and those of their tables ('W4 B').")
    if not names:
        return list(GROUPS)
    out = []
    for group in GROUPS:
        if any(_begins(group.name, name) for name in names):
            out.append(group)
        elif worlds := [world for world in group.worlds if any(_begins(world.name, name) for name in names)]:
            out.append(group._replace(worlds=worlds))
    return out


def _begins(name: str, asked: str) -> bool:
    """W1 is no beginning of W10."""
    return name == asked or (name.startswith(asked) and not name[len(asked)].isalnum())


def world_of(name: str) -> World:
    """The world of this name."""
    return next(world for group in GROUPS for world in group.worlds if world.name == name)


def group_of(name: str) -> Group:
    """The group of this name."""
    return next(group for group in GROUPS if group.name == name)
