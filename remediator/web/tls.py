"""The listener's TLS, out of the settings. Called by `server` alone."""

import ssl

from remediator import settings


class TlsError(Exception):
    """The certificate, the key or the CA can't be used; the text names the setting and the file."""


def server_context(tls: settings.Tls) -> ssl.SSLContext:
    """Return the context of the listener.

    With `client_ca_file` a client certificate is asked for, and one that is presented must verify;
    it is not demanded here, so that people's API tokens work beside senders' certificates. A
    sender with `client_names` alone is let in by its certificate only (`web.auth`).

    Raises:
        TlsError: a file is missing or is no certificate or key.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 also demands extensions that private authorities often leave out. Chain, time and
    # signature are checked as ever.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_no_password)
    except (OSError, ValueError) as error:
        raise TlsError(
            f"tls: cannot use cert_file {tls.cert_file} with key_file {tls.key_file}: {_why(error)}"
        ) from None
    if tls.client_ca_file is not None:
        try:
            context.load_verify_locations(tls.client_ca_file)
        except OSError as error:
            raise TlsError(
                f"tls: cannot use client_ca_file {tls.client_ca_file}: {_why(error)}"
            ) from None
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _no_password() -> str:
    # OpenSSL would ask on the terminal, for ever where there is none.
    raise ValueError("the key is encrypted; give one without a passphrase")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not a PEM file of the right kind"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
