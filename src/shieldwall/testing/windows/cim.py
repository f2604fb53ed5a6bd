"""The management of a pretended Windows machine: each class is answered by the component that has it.

Assumptions, and where they are written:

* A namespace, class or method that is not there is refused with ``WBEM_E_INVALID_NAMESPACE`` (0x8004100E),
  ``WBEM_E_INVALID_CLASS`` (0x80041010) or ``WBEM_E_INVALID_METHOD`` (0x8004102E): Microsoft, *WMI Error Constants*.
* Names of namespaces, classes and methods are compared without regard to case: DMTF DSP0004, 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from shieldwall.agent.host.cim import SYSTEM, CimError, CimValue, Properties

INVALID_NAMESPACE: Final = 0x8004100E
INVALID_CLASS: Final = 0x80041010
INVALID_METHOD: Final = 0x8004102E


class CimComponent(Protocol):
    """A part of the machine that has classes of its own: Defender, the firewall, the operating system."""

    @property
    def classes(self) -> Sequence[tuple[str, str]]:
        """Return its classes, each with its namespace."""
        ...

    def instances(self, class_name: str, options: Mapping[str, str]) -> Sequence[Properties]:
        """Return all instances of one of its classes. Raises: CimError."""
        ...

    def invoke(self, class_name: str, method: str, arguments: Properties) -> Properties:
        """Call a method of one of its classes. Raises: CimError."""
        ...


def no_such_method(class_name: str, method: str) -> CimError:
    """Make what a class answers to a method that it does not have."""
    return CimError(f"{class_name} has no method {method}.", status=INVALID_METHOD)


@dataclass(frozen=True, slots=True)
class PretendClass:
    """A class whose instances stand still, such as ``Win32_OperatingSystem``; a component by itself."""

    class_name: str
    rows: Sequence[Properties]
    namespace: str = SYSTEM

    @property
    def classes(self) -> Sequence[tuple[str, str]]:
        """See ``CimComponent.classes``."""
        return ((self.namespace, self.class_name),)

    def instances(self, class_name: str, options: Mapping[str, str]) -> Sequence[Properties]:  # noqa: ARG002 - port
        """See ``CimComponent.instances``."""
        return tuple(self.rows)

    def invoke(self, class_name: str, method: str, arguments: Properties) -> Properties:  # noqa: ARG002 - port
        """See ``CimComponent.invoke``. Raises: CimError."""
        raise no_such_method(class_name, method)


@dataclass(slots=True)
class PretendCim:
    """Implements ``Cim``. ``failure`` is what every question gets, as with PowerShell in Constrained Language Mode.

    ``calls`` are the methods that were called, in order, refused ones too.
    """

    components: list[CimComponent] = field(default_factory=list)
    failure: CimError | None = None
    calls: list[tuple[str, str, Mapping[str, CimValue]]] = field(default_factory=list)

    def instances(self, namespace: str, class_name: str, **options: str) -> Sequence[Properties]:
        """See ``Cim.instances``. Raises: CimError."""
        return self._component(namespace, class_name).instances(class_name, options)

    def invoke(self, namespace: str, class_name: str, method: str, arguments: Properties) -> Properties:
        """See ``Cim.invoke``. Raises: CimError."""
        self.calls.append((class_name, method, dict(arguments)))
        return self._component(namespace, class_name).invoke(class_name, method, arguments)

    def _component(self, namespace: str, class_name: str) -> CimComponent:
        if self.failure is not None:
            raise self.failure
        wanted = (_folded(namespace), class_name.casefold())
        known = [(_folded(space), name.casefold(), each) for each in self.components for space, name in each.classes]
        for space, name, component in known:
            if (space, name) == wanted:
                return component
        if any(space == wanted[0] for space, _, _ in known):
            raise CimError(f"{namespace} has no class {class_name}.", status=INVALID_CLASS)
        raise CimError(f"There is no namespace {namespace}.", status=INVALID_NAMESPACE)


def _folded(namespace: str) -> str:
    return namespace.replace("\\", "/").casefold()
