//! DNS lists: of addresses and domains to refuse or to welcome (RFC 5782).
