"""The addresses to which a webhook may be sent: those of the public internet, and what this deployment allows."""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Not all of these are private by every Python that is supported; 168.63.129.16 serves a virtual machine in Azure.
_NEVER = [
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15",
        "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
]  # fmt: skip
_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is handed out."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether an address is of the public internet: whatever form it has, as the one that is reached by it."""
    address = _reached(ipaddress.ip_address(text.partition("%")[0]))
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast and not any(
        address.version == network.version and address in network for network in _NEVER
    )  # fmt: skip


def _reached(address: Address) -> Address:
    """The IPv4 address within one of IPv6 that stands for it: mapped, through NAT64, or in its oldest form."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64 or int(address) >> 32 == 0:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


class Allowed:
    """The targets that a deployment allows although they are not public: hosts, addresses and networks."""

    def __init__(self, names: Iterable[str]) -> None:
        self._hosts: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for name in names:
            try:
                self._networks.append(ipaddress.ip_network(name, strict=False))
            except ValueError:
                self._hosts.add(_plain(name))

    def lets(self, host: str, address: str) -> bool:
        """Whether a connection to `address`, by which `host` is reached, is let through."""
        if is_public(address) or _plain(host) in self._hosts:
            return True
        given = ipaddress.ip_address(address.partition("%")[0])
        return any(
            each.version == network.version and each in network
            for each in {given, _reached(given)}
            for network in self._networks
        )


def _plain(host: str) -> str:
    return host.lower().rstrip(".")
