"""Addresses of machines."""

from __future__ import annotations

import ipaddress

from aiguard.scan import Recognizer

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"


def _v6(text: str) -> bool:
    address, _, prefix = text.partition("/")
    if (prefix and int(prefix) > 128) or not any(char.isdigit() for char in address):
        return False
    try:
        ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return False
    return True


RECOGNIZERS = (
    Recognizer(
        name="ip_v4",
        type="IP_ADDRESS",
        pattern=rf"\b{_OCTET}(?:\.{_OCTET}){{3}}(?:/(?:3[0-2]|[12]?\d)\b|\b)",
        deny=(
            "version",
            "ver",
            "v",
            "release",
            "section",
            "build",
            "rev",
            "upgrade to",
            "firmware",
        ),
        not_after=".",
        not_before=".",
        base_score=0.8,
        max_length=20,
        priority=50,
        source="RFC 791, RFC 4632",
        examples=("host 10.1.2.3:80", "10.0.0.0/8"),
        counter_examples=("256.1.1.1", "version 1.2.3.4", "1.2.3"),
    ),
    Recognizer(
        name="ip_v6",
        type="IP_ADDRESS",
        pattern=(
            r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{1,4})?"
            r"(?:%[0-9A-Za-z]{1,16})?(?:/\d{1,3})?"
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
            r"\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b|\b(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}\b"
            r"|\b[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\b"
        ),
        validate=lambda text: ":" in text or any(char.isalpha() for char in text),
        not_after=":-.",
        not_before=":-",
        base_score=0.8,
        max_length=20,
        priority=55,
        source="IEEE 802",
        examples=("00:1A:2b:3C:4d:5E", "on 001a.2b3c.4d5e now"),
        counter_examples=("12-34-56-78-90-12", "00:1A:2B:3C:4D"),
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
        priority=54,
        source="IEEE 802, EUI-48 and EUI-64 without separators",
        examples=("MAC 001A2B3C4D5E", "adapter address is 00 1a 2b 3c 4d 5e"),
        counter_examples=("build 001A2B3C4D5E", "MAC address unknown"),
    ),
)
