//! Sockets and the worker thread round the core: the one crate with `unsafe`.
