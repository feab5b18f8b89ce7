#include "json.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
  const uint8_t *at, *end;
} reader;

static bool more(reader *json) { return json->at < json->end; }

static void skip_space(reader *json) {
  while (more(json) && (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t')) json->at++;
}

static bool take(reader *json, char sign) {
  skip_space(json);
  if (!more(json) || *json->at != (uint8_t)sign) return false;
  json->at++;
  return true;
}

static uint32_t hex4(reader *json) {
  uint32_t value = 0;
  for (int i = 0; i < 4 && more(json); i++) {
    uint8_t sign = *json->at++;
    value = value << 4 | (uint32_t)(sign <= '9' ? sign - '0' : (sign | 32) - 'a' + 10);
  }
  return value;
}

// A code point as UTF-8. Two \u escapes make one of those above U+FFFF.
static size_t utf8(reader *json, uint8_t *out) {
  uint32_t c = hex4(json);
  if (c >= 0xd800 && c < 0xdc00 && json->end - json->at >= 6) {
    json->at += 2;
    c = 0x10000 + ((c - 0xd800) << 10) + (hex4(json) - 0xdc00);
  }
  if (c < 0x80) return out[0] = (uint8_t)c, 1;
  if (c < 0x800) return out[0] = (uint8_t)(0xc0 | c >> 6), out[1] = (uint8_t)(0x80 | (c & 63)), 2;
  size_t length = c < 0x10000 ? 3 : 4;
  out[0] = (uint8_t)(length == 3 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
  for (size_t i = 1; i < length; i++) out[i] = (uint8_t)(0x80 | (c >> (6 * (length - 1 - i)) & 63));
  return length;
}

// A string, its opening quote taken. What is decoded is never longer than what it is decoded from.
static plugin_string_t string(reader *json) {
  plugin_string_t text = {malloc((size_t)(json->end - json->at) + 1), 0};
  while (more(json) && *json->at != '"') {
    uint8_t sign = *json->at++;
    if (sign == '\\' && more(json)) {
      sign = *json->at++;
      if (sign == 'u') {
        text.len += utf8(json, text.ptr + text.len);
        continue;
      }
      if (sign == 'b') sign = '\b';
      if (sign == 'f') sign = '\f';
      if (sign == 'n') sign = '\n';
      if (sign == 'r') sign = '\r';
      if (sign == 't') sign = '\t';
    }
    text.ptr[text.len++] = sign;
  }
  if (more(json)) json->at++;
  return text;
}

// Goes over a value of any kind: strings whole, so that what looks like structure inside them is not.
static void skip_value(reader *json) {
  int depth = 0;
  while (more(json)) {
    uint8_t sign = *json->at;
    if (depth == 0 && (sign == ',' || sign == '}')) return;
    json->at++;
    if (sign == '"') {
      plugin_string_t text = string(json);
      plugin_string_free(&text);
    }
    if (sign == '{' || sign == '[') depth++;
    if (sign == '}' || sign == ']') depth--;
  }
}

// Stands at the option's value, if there is one.
static bool find(reader *json, const char *option) {
  if (!take(json, '{')) return false;
  while (take(json, '"')) {
    plugin_string_t key = string(json);
    bool found = key.len == strlen(option) && memcmp(key.ptr, option, key.len) == 0;
    plugin_string_free(&key);
    if (!take(json, ':')) return false;
    skip_space(json);
    if (found) return true;
    skip_value(json);
    if (!take(json, ',')) return false;
  }
  return false;
}

bool json_string(plugin_string_t config, const char *option, plugin_string_t *value) {
  reader json = {config.ptr, config.ptr + config.len};
  if (!find(&json, option) || !take(&json, '"')) return false;
  *value = string(&json);
  return true;
}

bool json_integer(plugin_string_t config, const char *option, int64_t *value) {
  reader json = {config.ptr, config.ptr + config.len};
  if (!find(&json, option) || !more(&json)) return false;
  bool negative = take(&json, '-');
  if (!more(&json) || *json.at < '0' || *json.at > '9') return false;
  *value = 0;
  while (more(&json) && *json.at >= '0' && *json.at <= '9') *value = *value * 10 + (*json.at++ - '0');
  if (negative) *value = -*value;
  return true;
}
