"""Addresses of machines."""

from __future__ import annotations

import ipaddress
from typing import Final

from aiguard.scan import Recognizer

_NOT_ADDRESSES: Final = ("version", "ver", "v", "release", "section", "build", "rev", "upgrade to", "firmware")
_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"


def _v6(text: str) -> bool:
    address, _, prefix = text.partition("/")
    if (prefix and int(prefix) > 128) or not any(char.isdigit() for char in address):
        return False
    try:
        ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return False
    return True


def _with_port(text: str) -> bool:
    """An address with a port after another full stop: no version has figures like that."""
    first, second = text.split(".")[:2]
    return (first, second) == ("192", "168") or sum(map(str.isdigit, text)) >= 9


def _interface(text: str) -> bool:
    """An address of an interface, which all ones and all zeros are not."""
    return len({char.lower() for char in text if char.isalnum()}) > 1 and (":" in text or any(map(str.isalpha, text)))


RECOGNIZERS = (
    Recognizer(
        name="ip_v4",
        type="IP_ADDRESS",
        pattern=rf"\b{_OCTET}(?:\.{_OCTET}){{3}}(?:/(?:3[0-2]|[12]?\d)\b|\b)",
        deny=_NOT_ADDRESSES,
        not_after=".",
        not_before=".",
        context_window=20,
        base_score=0.8,
        max_length=20,
        priority=50,
        source="RFC 791, RFC 4632",
        examples=("host 10.1.2.3:80", "10.0.0.0/8"),
        counter_examples=("256.1.1.1", "version 1.2.3.4", "1.2.3"),
    ),
    Recognizer(
        name="ip_v4_port",
        type="IP_ADDRESS",
        pattern=rf"\b({_OCTET}(?:\.{_OCTET}){{3}})\.\d{{1,5}}(?:[^.0-9A-Za-z_]|\.[^0-9A-Za-z_]|\.?$)",
        validate=_with_port,
        deny=_NOT_ADDRESSES,
        not_after=".",
        open_end=True,
        base_score=0.7,
        max_length=24,
        priority=50,
        source="how tcpdump and netstat write an address and its port",
        examples=("IP 192.168.1.17.443 > 10.20.30.144.52134: Flags [S]", "from 203.0.113.77.8080."),
        counter_examples=("1.3.6.1.4", "1.2.3.4.5", "10.0.19041.1.2", "203.0.113.77.8080.1"),
    ),
    Recognizer(
        name="ip_v6_unspecified",
        type="IP_ADDRESS",
        pattern=r"::(?:/\d{1,3})?",
        context=("ip", "ipv6", "ip address", "ip addr", "listen", "listening on", "bind", "host"),
        not_after=":.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_>)",
        not_before=":.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_<~*",
        base_score=0.1,
        context_score=0.7,
        context_window=16,
        alone_score=0.7,
        max_length=6,
        priority=50,
        source="RFC 4291, the unspecified address, after words for one",
        examples=("local ipv6 ::", "::/128"),
        counter_examples=("std::vector", "see ::", "the host Foo::bar"),
    ),
    Recognizer(
        name="ip_v6",
        type="IP_ADDRESS",
        pattern=(
            r"(?:(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{1,4}|:)|[0-9A-Fa-f]{0,4}::)"
            r"(?:%[0-9A-Za-z]{1,16})?(?:/(?:12[0-8]|1[01]\d|\d{1,2})\b)?"
        ),
        validate=_v6,
        not_after=":.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_",
        not_before=":.",
        base_score=0.85,
        max_length=120,
        priority=50,
        source="RFC 4291",
        examples=(
            "2001:db8::1",
            "fe80::1%eth0",
            "::ffff:192.168.1.0/96",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        ),
        counter_examples=("12:30", "std::vector<int>", "gggg:hhhh::1234"),
    ),
    Recognizer(
        name="mac_address",
        type="MAC_ADDRESS",
        pattern=(
            r"\b(?:[0-9A-Fa-f]{2}:){5}(?:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:)?[0-9A-Fa-f]{2}\b"
            r"|\b(?:[0-9A-Fa-f]{2}-){5}(?:[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-)?[0-9A-Fa-f]{2}\b"
            r"|\b[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\b"
        ),
        validate=_interface,
        not_after=":-.",
        not_before=":-",
        base_score=0.8,
        max_length=24,
        priority=55,
        source="IEEE 802, EUI-48 and EUI-64",
        examples=("00:1A:2b:3C:4d:5E", "on 001a.2b3c.4d5e now", "00-1A-2B-FF-FE-3C-4D-5E"),
        counter_examples=("12-34-56-78-90-12", "00:1A:2B:3C:4D", "to FF:FF:FF:FF:FF:FF"),
    ),
    Recognizer(
        name="mac_in_context",
        type="MAC_ADDRESS",
        pattern=r"\b(?:[0-9A-Fa-f]{16}|[0-9A-Fa-f]{12}|(?:[0-9A-Fa-f]{2} ){5}[0-9A-Fa-f]{2})\b",
        context=("mac", "mac address", "hardware address", "adapter address", "ethernet address", "bssid", "eui"),
        base_score=0.1,
        context_score=0.8,
        context_window=32,
        max_length=20,
        validate=lambda text: len(set(text.lower()) - {" "}) > 1,
        priority=54,
        source="IEEE 802, EUI-48 and EUI-64 without separators",
        examples=("MAC 001A2B3C4D5E", "adapter address is 00 1a 2b 3c 4d 5e"),
        counter_examples=("build 001A2B3C4D5E", "MAC address unknown", "MAC FFFFFFFFFFFF"),
    ),
    Recognizer(
        name="mac_spaced",
        type="MAC_ADDRESS",
        pattern=r"\b(?:[0-9A-Fa-f]{2} ){5}[0-9A-Fa-f]{2}\b",
        validate=lambda text: any(map(str.isalpha, text)) and any(map(str.isdigit, text)),
        base_score=0.1,
        context_score=0.1,
        alone_score=0.55,
        max_length=17,
        priority=53,
        source="IEEE 802, for a text that is nothing but the address",
        examples=("00 1a 2b 3c 4d 5e",),
        counter_examples=("dump 00 1a 2b 3c 4d 5e", "01 02 03 04 05 06"),
    ),
)
