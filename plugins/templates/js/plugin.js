// A custom authenticator: whoever knows the password is let in.

import { equal } from 'mlx-gate:plugin/crypto@0.1.0';
import { log } from 'mlx-gate:plugin/host@0.1.0';

const HEADER = 'x-password';

const SCHEMA = {
  type: 'object',
  required: ['password'],
  properties: {
    password: { type: 'string', description: `What callers send in ${HEADER}` },
  },
};

// Set by `configure`, before any request.
let password;

// QuickJS has the language and no web APIs, so no TextEncoder.
const utf8 = (text) => Uint8Array.from(unescape(encodeURIComponent(text)), (byte) => byte.charCodeAt(0));

export const lifecycle = {
  describe() {
    return {
      name: 'doorman',
      version: '0.1.0',
      configSchema: JSON.stringify(SCHEMA),
      credentialHeaders: [HEADER],
      headers: [],
    };
  },

  configure(config, files) {
    password = utf8(JSON.parse(config).password);
    if (password.length < 4) throw '`password` has to be at least 4 bytes long';
  },

  selfTest() {},
};

export const authenticate = {
  check(head) {
    const given = head.credentials.find(([name]) => name === HEADER)?.[1];
    if (given === undefined) return { tag: 'abstain' };
    if (!equal(utf8(given), password)) {
      const denial = { status: 401, code: 'wrong_password', message: 'that is not the password', headers: [] };
      return { tag: 'deny', val: denial };
    }
    log('debug', `request ${head.id} knows the password`);
    const principal = { subject: 'friend', roles: [], scopes: [], claims: [] };
    return { tag: 'allow', val: { principal } };
  },
};
