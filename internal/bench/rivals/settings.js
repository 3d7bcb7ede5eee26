module.exports = {
  uiHost: '127.0.0.1',
  uiPort: Number(process.env.UI_PORT),
  httpAdminRoot: false,
  credentialSecret: false,
  flowFile: 'flows.json',
  functionGlobalContext: { phones: require(process.env.PHONES) },
  logging: { console: { level: 'warn', metrics: false, audit: false } },
};
