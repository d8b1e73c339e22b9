"""Addresses that a webhook may be sent to: none by which this machine or its network is reached."""

import pytest

from agent_tasks.task.public_address import Allowed, is_public

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)
    assert Allowed(()).lets("a.example", address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_reaches_this_machine_its_network_or_its_cloud_is_not_public(address: str) -> None:
    assert not is_public(address)
    assert not Allowed(()).lets("a.example", address)


@pytest.mark.parametrize(
    ("name", "host", "address", "lets"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "a.example", "127.0.0.1", True),
        ("127.0.0.1", "a.example", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", "127.0.0.2", False),
        ("10.0.0.0/8", "a.example", "10.1.2.3", True),
        ("10.1.2.3/8", "a.example", "10.1.2.3", True),
        ("10.0.0.0/8", "a.example", "11.1.2.3", True),  # which is public
        ("10.0.0.0/8", "a.example", "172.16.0.1", False),
        ("fd00::/8", "a.example", "fd00:ec2::254", True),
        ("fd00::/8", "a.example", "127.0.0.1", False),
        ("Receiver.", "receiver", "172.17.0.2", True),
        ("receiver", "a.receiver", "172.17.0.2", False),
    ],
)
def test_a_deployment_allows_hosts_addresses_and_networks(name: str, host: str, address: str, lets: bool) -> None:
    assert Allowed([name]).lets(host, address) == lets
