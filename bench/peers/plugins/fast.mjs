// Gives each vendor the credential that a map has for it. The gateway keeps the answer.

/** @param {{ secret: string }} options */
// biome-ignore lint/style/noDefaultExport: a plugin is the default export of its module.
export default ({ secret }) => {
  const credentials = new Map([['vendor-1', `Bearer ${secret}`]]);
  return {
    /** @param {{ vendorId: string }} context */
    getCredentials: ({ vendorId }) => ({ headers: { Authorization: credentials.get(vendorId) ?? '' }, expiresAt: Date.now() + 3_600_000 }),
  };
};
