"""Which addresses of remote images are taken, and how they are shown: never with a password or a signature."""

import ipaddress
import re
from urllib.parse import unquote, urlsplit

from headstart.extractors.errors import ImageSetError

SCHEMES = ("s3", "gs", "https", "http")
_USER = re.compile(r"(?<=://)[^/\s@'\"]+@")
_SIGNATURE = re.compile(r"(?<=[^\s'\"])\?(?!…)[^\s'\"]+")
_FRAGMENT = re.compile(r"(://[^\s'\"#]*)#(?!…)[^\s'\"]+")


def check_address(url: str) -> None:
    """Refuse an address that is of an unknown kind, goes over a plain line, or has something secret in it.

    What is accepted stands in listings, keys, logs and reports. So there must be no user, password, query (which holds
    the signatures of signed addresses, and tokens) or fragment in it; credentials belong into the environment.

    Raises
    ------
    ImageSetError
        It is refused; the message does not repeat what may be secret.
    """
    shown = redacted(url)
    try:
        split = urlsplit(url)
        host = split.hostname or ""
    except ValueError as error:
        raise ImageSetError(f"{shown}: no address that can be understood ({error}); check it") from error
    if split.scheme not in SCHEMES:
        raise ImageSetError(
            f"{shown}: unknown kind of address {split.scheme}://; give one of s3://, gs:// and https://"
        )
    if "@" in split.netloc or "?" in url or "#" in url:
        raise ImageSetError(
            f"{shown}: an address with a password, a query or a fragment, which would be kept in listings and reports; "
            "leave it out, and give credentials by the environment (AWS_PROFILE, GOOGLE_APPLICATION_CREDENTIALS, …)"
        )
    if not host:
        raise ImageSetError(f"{shown}: an address without a {'bucket' if split.scheme in ('s3', 'gs') else 'host'}")
    if split.scheme == "http" and not _is_loopback(host):
        raise ImageSetError(f"{shown}: plain http can be read and changed on its way; give https")
    if "::" in url or {".", ".."} & set(unquote(split.path).split("/")):
        raise ImageSetError(f"{shown}: an address must not hold '..' or '::'; write where the images are")


def redacted(text: str) -> str:
    """Return a text in which every user, password, query and fragment of an address is left out."""
    return _FRAGMENT.sub(r"\1#…", _SIGNATURE.sub("?…", _USER.sub("…@", text)))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
