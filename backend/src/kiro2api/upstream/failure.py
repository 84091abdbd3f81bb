"""libcurl's error codes put into words, without URLs, credentials or addresses of ours."""

import pycurl

from kiro2api.errors import TransferError

# Codes of libcurl that pycurl gives no name.
_E_HTTP2_STREAM = 92
_E_PROXY = 97

_TLS = frozenset(
    {
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CIPHER,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_CRL_BADFILE,
        pycurl.E_SSL_ISSUER_ERROR,
        pycurl.E_SSL_INVALIDCERTSTATUS,
        pycurl.E_SSL_PINNEDPUBKEYNOTMATCH,
        pycurl.E_USE_SSL_FAILED,
    }
)
_WORDS = {
    pycurl.E_UNSUPPORTED_PROTOCOL: "the answer is not HTTP, or the URL is neither http nor https",
    pycurl.E_URL_MALFORMAT: "the URL is not well-formed",
    pycurl.E_COULDNT_RESOLVE_PROXY: "the proxy's host name could not be resolved",
    pycurl.E_COULDNT_RESOLVE_HOST: "the host name could not be resolved",
    pycurl.E_COULDNT_CONNECT: "could not connect",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "the answer is not valid HTTP",
    pycurl.E_HTTP2: "HTTP/2 error",
    _E_HTTP2_STREAM: "the HTTP/2 stream was reset",
    pycurl.E_PARTIAL_FILE: "the body ended early",
    pycurl.E_GOT_NOTHING: "the connection was closed without an answer",
    pycurl.E_SEND_ERROR: "connection reset while sending",
    pycurl.E_RECV_ERROR: "connection reset",
    # The only callback that aborts is the one that forbids a silent second request.
    pycurl.E_ABORTED_BY_CALLBACK: "connection reset before an answer",
    _E_PROXY: "the proxy refused the connection",
}
_CONNECT_REFUSED = "CONNECT tunnel failed"


def transfer_error(
    code: int, detail: str, *, origin: str, connect_timeout_s: float
) -> TransferError:
    """Return the error that says what libcurl's `code` means for a call to `origin`.

    `detail` is libcurl's own sentence; it is used only where it names neither URL nor credential.
    """
    if code == pycurl.E_OPERATION_TIMEDOUT:
        text = f"could not connect within {connect_timeout_s:g} s"
        return TransferError(f"{origin}: {text}", timed_out=True)
    if code in _TLS:
        text = f"TLS: {detail or 'the handshake failed'}"
    elif _CONNECT_REFUSED in detail:
        text = "the proxy refused the tunnel" + detail.partition(_CONNECT_REFUSED)[2]
    else:
        text = _WORDS.get(code, f"libcurl error {code}")
    return TransferError(f"{origin}: {text}", closed=code == pycurl.E_PARTIAL_FILE)
