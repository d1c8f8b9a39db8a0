/* class Poll: readiness of one fd on Node's own event loop. */
#ifndef HANDOFF_POLL_H
#define HANDOFF_POLL_H

#include "napi_util.h"

napi_value poll_class(napi_env env);

#endif
