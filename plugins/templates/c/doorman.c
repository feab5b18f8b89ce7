// A custom authenticator: whoever knows the password is let in.

#include "plugin.h"

#include <string.h>

#include "json.h"

#define HEADER "x-password"

static const char SCHEMA[] =
    "{\"type\": \"object\", \"required\": [\"password\"], \"properties\": {"
    "\"password\": {\"type\": \"string\", \"minLength\": 1, \"description\": \"What callers send in x-password\"}}}";

// Set by `configure`. Every request starts from a copy of the memory it leaves.
static plugin_string_t password;

static plugin_string_t text(const char *literal) {
  return (plugin_string_t){(uint8_t *)literal, strlen(literal)};
}

void exports_mlx_gate_plugin_lifecycle_describe(exports_mlx_gate_plugin_lifecycle_info_t *info) {
  static plugin_string_t credentials[1];
  credentials[0] = text(HEADER);
  *info = (exports_mlx_gate_plugin_lifecycle_info_t){
      .name = text("doorman"),
      .version = text("0.1.0"),
      .config_schema = text(SCHEMA),
      .credential_headers = {credentials, 1},
  };
}

bool exports_mlx_gate_plugin_lifecycle_configure(plugin_string_t *config,
                                                 exports_mlx_gate_plugin_lifecycle_list_host_file_t *files,
                                                 plugin_string_t *error) {
  bool found = json_string(*config, "password", &password);
  memset(config->ptr, 0, config->len);
  plugin_string_free(config);
  exports_mlx_gate_plugin_lifecycle_list_host_file_free(files);
  if (!found || password.len < 4) {
    *error = text("`password` has to be at least 4 bytes long");
    return false;
  }
  return true;
}

bool exports_mlx_gate_plugin_lifecycle_self_test(plugin_string_t *error) {
  (void)error;
  return true;
}

static void deny(exports_mlx_gate_plugin_authenticate_verdict_t *verdict) {
  verdict->tag = EXPORTS_MLX_GATE_PLUGIN_AUTHENTICATE_VERDICT_DENY;
  verdict->val.deny = (mlx_gate_plugin_types_denial_t){
      .status = 401,
      .code = text("wrong_password"),
      .message = text("that is not the password"),
  };
}

static void allow(exports_mlx_gate_plugin_authenticate_verdict_t *verdict, const char *subject) {
  verdict->tag = EXPORTS_MLX_GATE_PLUGIN_AUTHENTICATE_VERDICT_ALLOW;
  verdict->val.allow = (exports_mlx_gate_plugin_authenticate_grant_t){.principal.subject = text(subject)};
}

void exports_mlx_gate_plugin_authenticate_check(mlx_gate_plugin_types_request_head_t *head,
                                                exports_mlx_gate_plugin_authenticate_verdict_t *verdict) {
  *verdict = (exports_mlx_gate_plugin_authenticate_verdict_t){EXPORTS_MLX_GATE_PLUGIN_AUTHENTICATE_VERDICT_ABSTAIN};
  // Only x-password was asked for, and no name occurs twice.
  if (head->credentials.len == 1) {
    plugin_string_t given = head->credentials.ptr[0].f1;
    plugin_list_u8_t left = {given.ptr, given.len}, right = {password.ptr, password.len};
    if (mlx_gate_plugin_crypto_equal(&left, &right)) {
      allow(verdict, "friend");
    } else {
      deny(verdict);
    }
  }
  mlx_gate_plugin_types_request_head_free(head);
}
