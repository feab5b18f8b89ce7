// Reading options: the host hands over one JSON object, checked against the schema and written without spaces or tricks.
#ifndef MLX_GATE_JSON_H
#define MLX_GATE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "plugin.h"

// The value of a string option at the top of the object, decoded, in memory of its own. False where it is not there.
bool json_string(plugin_string_t config, const char *option, plugin_string_t *value);

// The value of a whole-number option at the top of the object. False where it is not there.
bool json_integer(plugin_string_t config, const char *option, int64_t *value);

#endif
