/* class Poll: readiness of one fd on Node's own event loop. */
#ifndef HANDOFF_WATCHER_H
#define HANDOFF_WATCHER_H

#include "napi_util.h"

napi_value poll_class(napi_env env);

#endif
