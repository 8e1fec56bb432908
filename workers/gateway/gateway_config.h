/* The gateway's configuration keys: GATEWAY_CONFIG(CONFIG_ROW). */
#pragma once

#include "run/config.h"

#if SLUICE_FAULTS
#define GATEWAY_FAULT_CONFIG(KEY)                                                                  \
    KEY("fault.ack_early", BOOL, "false", 0, 0, "TEST: answer before the brokers have acknowledged")
#else
#define GATEWAY_FAULT_CONFIG(KEY)
#endif

#define GATEWAY_CONFIG(KEY)                                                                        \
    KEY("policy", STRING, NULL, 0, 0, "path of the policy file; read again when it changes")       \
    KEY("tokens", STRING, "", 0, 0,                                                                \
        "path of the file of bearer tokens (sluice-gateway token --help); read again when it changes; empty = none") \
    KEY("edge", STRING, "validate", 0, 0,                                                          \
        "validate: the policy is applied here, per series; pass: bodies go on as they came, and sluice-validate applies it") \
    KEY("topic", STRING, "metrics.ingest", 0, 0, "the shared ingest topic; only the gateway may write to it") \
    KEY("control_topic", STRING, "sluice.control", 0, 0, "the operators' rules; empty = none are followed") \
    KEY("address", STRING, "0.0.0.0", 0, 0, "address that tenants connect to")                     \
    KEY("port", INT, "8080", -1, 65535, "port of plain HTTP; 0 = any; -1 = none")                  \
    KEY("tls_port", INT, "-1", -1, 65535, "port of HTTPS; 0 = any; -1 = none")                     \
    KEY("tls_certificate", STRING, "", 0, 0,                                                       \
        "path of the server's certificate chain, PEM; with key and CA read again when one changes") \
    KEY("tls_key", STRING, "", 0, 0, "path of its private key, PEM")                               \
    KEY("tls_client_ca", STRING, "", 0, 0,                                                         \
        "path of the CA of client certificates, PEM; the policy's principals say whose they are; empty = none are asked for") \
    KEY("threads", INT, "2", 1, 64, "threads that serve, each for HTTP and HTTPS")                 \
    KEY("replicas", INT, "1", 1, 10000, "gateways that share each tenant's quotas: each gives so much of them") \
    KEY("max_body_bytes", INT, "8388608", 1024, 1073741824, "largest body as it comes, bytes (413)") \
    KEY("max_unpacked_bytes", INT, "33554432", 1024, 1073741824, "largest body unpacked, bytes (413)") \
    KEY("max_ratio", INT, "200", 2, 1000000, "unpacked to packed size at most, for what is over 1 MiB unpacked (413)") \
    KEY("max_header_bytes", INT, "16384", 2048, 1048576, "about the largest request line and headers, bytes (431)") \
    KEY("max_connections", INT, "4096", 1, 1000000, "connections in all")                          \
    KEY("max_connections_per_address", INT, "256", 0, 1000000,                                     \
        "connections from one address (IPv6: /64); 0 = no bound, for behind a load balancer")      \
    KEY("header_timeout_ms", INT, "10000", 100, 3600000, "longest time for handshake, request line and headers, ms") \
    KEY("body_timeout_ms", INT, "30000", 100, 3600000, "longest time for a body, ms (408)")        \
    KEY("idle_timeout_ms", INT, "75000", 1000, 3600000, "a connection without a request is closed after this, ms") \
    KEY("ack_timeout_ms", INT, "10000", 100, 600000, "longest wait for the brokers' acknowledgement, ms (503)") \
    KEY("max_requests", INT, "2048", 1, 1000000, "requests under way (503)")                       \
    KEY("in_flight_mb", INT, "256", 1, 1048576, "bodies being received and records not acknowledged yet, MiB (503)") \
    KEY("tenant_share_percent", INT, "50", 1, 100, "how much of max_requests and in_flight_mb one tenant may take") \
    KEY("shed_verbose_percent", INT, "50", 0, 100, "from so much of in_flight_mb on class verbose is shed; 0 = never") \
    KEY("shed_standard_percent", INT, "75", 0, 100, "the same for class standard; critical is never shed") \
    KEY("cache_mb", INT, "64", 1, 1048576, "what each thread remembers of series and shapes, MiB") \
    KEY("drain_ms", INT, "5000", 0, 600000,                                                        \
        "after SIGTERM: /ready says no, but requests are still served so long, ms; as long as balancers need to see it") \
    KEY("shutdown_ms", INT, "20000", 100, 600000, "longest wait for what is under way then, ms")   \
    KEY("instance", STRING, "", 0, 0, "name of this process at the brokers; empty = host name")    \
    KEY("http_address", STRING, "0.0.0.0", 0, 0, "address of /metrics, /healthz, /ready")          \
    KEY("http_port", INT, "9464", 0, 65535, "port of /metrics, /healthz, /ready; 0 = any")         \
    KEY("log_level", STRING, "info", 0, 0, "debug, info, warn or error")                           \
    GATEWAY_FAULT_CONFIG(KEY)
