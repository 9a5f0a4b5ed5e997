"""`app`: what scripts ask of the running Metashape, as far as there is something like it without a window.

Versions are those of the reference manual that this module follows. The commonest change is another attribute that scripts
look at: a slot, and its value.
"""

from __future__ import annotations

from typing import NamedTuple

from depthraster.metashape.base import Facade
from depthraster.metashape.document import Document

__all__ = ["Application", "Version", "app", "version"]


class Version(NamedTuple):
    """A version; versions compare by their numbers."""

    major: int = 0
    minor: int = 0
    micro: int = 0


version = Version(2, 3, 0)


class Application(Facade):
    """The one there is, ``app``.

    Attributes
    ----------
    document : Document
        The document that scripts work on; empty at first.
    cpu_enable : bool
        Whether the processor is used: it always is, whatever is set.
    gpu_mask : int
        Which graphics processors are used: none, whatever is set.
    """

    __slots__ = ("cpu_enable", "document", "gpu_mask")
    document: Document
    cpu_enable: bool
    gpu_mask: int

    def __init__(self) -> None:
        self.document = Document()
        self.cpu_enable = True
        self.gpu_mask = 0

    @property
    def version(self) -> str:
        """The version of Metashape whose reference manual is followed."""
        return ".".join(map(str, version))

    def update(self) -> None:
        """Do nothing: there is no window to draw anew."""

    def enumGPUDevices(self) -> list[dict[str, object]]:
        """Return the graphics processors that can be used: none."""
        return []


app = Application()
