"""OCSP stapling for servers of Python's ssl, which has none of its own.

It is a part of CPython that nobody promises: a context's object begins with a
pointer to OpenSSL's SSL_CTX, in all versions so far. The library that Python
uses is loaded already, so the calls below are to the same one.
"""

import ctypes
import ssl

SET_STATUS_CALLBACK = 63  # SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB
SET_STATUS_RESPONSE = 71  # SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP
OK, ALERT_FATAL = 0, 2  # SSL_TLSEXT_ERR_...

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
HEAD = object.__basicsize__
kept = []  # the callbacks of contexts that are kept themselves


def library(name):
    return ctypes.CDLL(name + ".so.%d" % ssl.OPENSSL_VERSION_INFO[0])


def staple(context, response):
    """Send `response` to clients that ask for one."""
    crypto, tls = library("libcrypto"), library("libssl")
    crypto.CRYPTO_memdup.restype = ctypes.c_void_p
    tls.SSL_ctrl.restype = ctypes.c_long

    @CALLBACK
    def answer(connection, _):
        copy = crypto.CRYPTO_memdup(response, ctypes.c_size_t(len(response)),
                                    b"", 0)
        done = tls.SSL_ctrl(ctypes.c_void_p(connection), SET_STATUS_RESPONSE,
                            ctypes.c_long(len(response)),
                            ctypes.c_void_p(copy))
        return OK if done == 1 else ALERT_FATAL

    kept.append(answer)
    pointer = ctypes.c_void_p.from_address(id(context) + HEAD)
    if tls.SSL_CTX_callback_ctrl(pointer, SET_STATUS_CALLBACK, answer) != 1:
        raise OSError("no callback for stapling")
