/* class Writer: frames and heartbeats on one stream socket. */
#ifndef HANDOFF_WRITER_H
#define HANDOFF_WRITER_H

#include "napi_util.h"

napi_value writer_class(napi_env env);

#endif
