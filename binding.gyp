{
  "targets": [
    {
      "target_name": "handoff_native",
      "sources": [
        "native/binding.c",
        "native/heartbeat.c",
        "native/napi_util.c",
        "native/readiness.c",
        "native/sys.c",
        "native/watcher.c",
        "native/writer.c"
      ],
      "defines": ["NAPI_VERSION=8", "_GNU_SOURCE", "HANDOFF_SOURCES=\"<!(node native/sources.mjs)\""],
      "cflags": ["-std=gnu11", "-Wall", "-Wextra", "-fvisibility=hidden"],
      # A heartbeat thread may outlive the worker that loaded this by some microseconds: its code stays mapped.
      "conditions": [["OS=='linux'", {"ldflags": ["-Wl,-z,nodelete"]}]],
      "xcode_settings": {
        "OTHER_CFLAGS": ["-std=gnu11", "-Wall", "-Wextra", "-fvisibility=hidden"],
        "MACOSX_DEPLOYMENT_TARGET": "11.0"
      }
    }
  ]
}
