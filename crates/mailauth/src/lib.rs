//! Message authentication: SPF, DKIM, DMARC, ARC and DNS lists as async
//! functions over a resolver will live here. Today the crate holds nothing:
//! the relay takes and delivers mail without authenticating its content.
