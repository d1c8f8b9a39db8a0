/** The schema of broker protocol version 1: field numbers and reserved ranges are frozen, fields are only ever added. */
export const BROKER_PACKAGE = 'running_process.broker.v1'

export const BROKER_PROTO = `
syntax = "proto3";
package ${BROKER_PACKAGE};

enum FrameKind { FRAME_KIND_REQUEST = 0; FRAME_KIND_RESPONSE = 1; FRAME_KIND_EVENT = 2; FRAME_KIND_CANCEL = 3; }
enum PayloadEncoding {
  PAYLOAD_ENCODING_NONE = 0; PAYLOAD_ENCODING_ZSTD = 1; PAYLOAD_ENCODING_SNAPPY = 2; PAYLOAD_ENCODING_LZ4 = 3;
}
enum ErrorCode {
  ERROR_CODE_UNSPECIFIED = 0; ERROR_VERSION_UNSUPPORTED = 1; ERROR_SERVICE_UNKNOWN = 2;
  ERROR_BACKEND_SPAWN_FAILED = 3; ERROR_RATE_LIMITED = 4; ERROR_SHUTTING_DOWN = 5; ERROR_PEER_REJECTED = 6;
  ERROR_INTERNAL = 7; ERROR_VERSION_BLOCKED = 8; ERROR_FD_PRESSURE = 9;
  reserved 10 to 20;
}

message Frame {
  uint32 envelope_version = 1;
  FrameKind kind = 2;
  uint32 payload_protocol = 3;
  bytes payload = 4;
  uint64 request_id = 5;
  PayloadEncoding payload_encoding = 6;
  uint64 deadline_unix_ms = 7;
  string traceparent = 8;
  string tracestate = 9;
  reserved 10 to 15;
}

message Hello {
  uint32 client_min_protocol = 1;
  uint32 client_max_protocol = 2;
  string service_name = 3;
  string wanted_version = 4;
  string client_version = 5;
  uint64 client_capabilities = 6;
  bytes auth_token = 7;
  string request_id = 8;
  uint64 connection_id = 9;
  uint32 peer_pid = 10;
  string client_lib_name = 11;
  string client_lib_version = 12;
  bytes peer_attestation_nonce = 13;
  bytes capability_token = 14;
  uint64 client_keepalive_secs = 15;
  reserved 16 to 20;
}
message HelloReply { oneof result { Negotiated negotiated = 1; Refused refused = 2; } }
message Negotiated {
  uint32 negotiated_protocol = 1;
  string daemon_version = 2;
  string backend_pipe = 3;
  repeated string warnings = 4;
  uint64 server_capabilities = 5;
  uint64 keepalive_interval_secs = 6;
  bytes handle_passed_token = 7;
  uint64 connection_id = 8;
}
message Refused {
  string reason = 1;
  uint32 daemon_min_protocol = 2;
  uint32 daemon_max_protocol = 3;
  ErrorCode code = 4;
  map<string, string> details = 5;
  uint64 retry_after_ms = 6;
}

message HandoffOffer {
  uint64 handle_value = 1;
  bytes token = 2;
  string service_name = 3;
  uint64 correlation_id = 4;
  reserved 5 to 10;
}
message HandoffAck {
  bytes token = 1;
  bool accepted = 2;
  string error_detail = 3;
  uint64 correlation_id = 4;
  reserved 5 to 10;
}

message Endpoint { string namespace_id = 1; string path = 2; }
message DaemonProcess {
  uint32 pid = 1;
  string exe_path = 2;
  bytes exe_sha256 = 3;
  Endpoint ipc_endpoint = 4;
  uint64 started_at_unix_ms = 5;
  string boot_id = 6;
  optional uint32 idle_timeout_secs = 7;
  string exe_hash_algorithm = 8;
  bytes exe_hash = 9;
}

enum BrokerIsolation { PRIVATE_BROKER = 0; SHARED_BROKER = 1; EXPLICIT_INSTANCE = 2; }
message ServiceDefinition {
  string service_name = 1;
  string binary_path = 2;
  BrokerIsolation isolation = 3;
  string explicit_instance = 4;
  string per_version_binary_dir = 5;
  string min_version = 6;
  repeated string version_allow_list = 7;
  map<string, string> labels = 8;
}

enum AdminVerb {
  reserved 10 to 20;
  ADMIN_VERB_UNSPECIFIED = 0; ADMIN_VERB_STATUS = 1; ADMIN_VERB_DUMP = 2; ADMIN_VERB_LIST_INSTANCES = 3;
  ADMIN_VERB_HEALTHZ = 4; ADMIN_VERB_READYZ = 5; ADMIN_VERB_BACKEND_HEALTH = 6; ADMIN_VERB_CONFIG = 7;
  ADMIN_VERB_DIAGNOSE = 8; ADMIN_VERB_METRICS = 9; ADMIN_VERB_SHUTDOWN = 21;
}
enum AdminReplyKind {
  ADMIN_REPLY_KIND_TEXT = 0; ADMIN_REPLY_KIND_JSON = 1; ADMIN_REPLY_KIND_OPENMETRICS = 2;
  reserved 10 to 20;
}
message AdminRequest {
  AdminVerb verb = 1;
  bool json = 2;
  string service_name = 3;
  string output_path = 4;
  uint64 drain_deadline_ms = 5;
  reserved 10 to 20;
}
message AdminReply {
  AdminReplyKind kind = 1;
  string body = 2;
  uint32 exit_code = 3;
  string content_type = 4;
  reserved 10 to 20;
}
`
