#ifndef HANDOFF_READINESS_H
#define HANDOFF_READINESS_H

#include "napi_util.h"

/* class Readiness, see readiness.c; undefined where there is no epoll. */
napi_value readiness_class(napi_env env);

#endif
