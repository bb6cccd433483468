// Who may import whom. The same rules in words are in docs/architecture.md; a rule changed here is changed there.

const packages = ['cli', 'control', 'gateway', 'credentials', 'sdk'];
const gateway = 'packages/gateway/src/';
const isTest = '\\.test\\.ts$';
const isTestOrSupport = '\\.test\\.(support\\.)?ts$';

/** The layers inside the gateway from top to bottom. A layer may use those below it and itself, in so far as no other rule forbids it. */
const layers = [
  { name: 'doors', path: `^${gateway}doors/` },
  { name: 'pipeline', path: `^${gateway}pipeline/` },
  { name: 'the stages’ helpers', path: `^${gateway}(policy|placements|plugins|upstream|record|tls|config)/` },
  { name: 'wire', path: `^${gateway}wire/` },
  { name: 'exchange', path: `^${gateway}exchange\\.ts$` },
];

/** A package may import those below it, never those above it. Tests are bound by this too. */
const packageRules = packages.slice(1).map((name, index) => ({
  name: `package-${name}-looks-down-only`,
  comment: `Imports between packages go one way: ${packages.join(' → ')}.`,
  severity: 'error',
  from: { path: `^packages/${name}/` },
  to: { path: `^packages/(${packages.slice(0, index + 1).join('|')})/` },
}));

const layerRules = layers.slice(1).map((layer, index) => ({
  name: `gateway-${layer.name.split(' ').at(-1)}-looks-down-only`,
  comment: 'Inside the gateway: doors → pipeline → {policy, placements, plugins, upstream, record, tls, config} → wire → exchange.',
  severity: 'error',
  from: { path: layer.path, pathNot: isTest },
  to: { path: layers.slice(0, index + 1).map(({ path }) => path) },
}));

export default {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Two files that need each other are one file, or lack a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...packageRules,
    {
      name: 'packages-by-name-only',
      comment: 'Another package is reached through its entry point, as its users reach it.',
      severity: 'error',
      from: { path: '^packages/([^/]+)/' },
      to: { path: '^packages/', pathNot: ['^packages/$1/', '^packages/[^/]+/(src|dist)/(compliance/)?index\\.'] },
    },
    {
      name: 'client-stands-alone',
      comment: 'The client runs in browsers, and knows the API from its document.',
      severity: 'error',
      from: { path: '^packages/client/', pathNot: isTestOrSupport },
      to: { path: ['^packages/(?!client/)', '^node:'] },
    },
    {
      name: 'only-the-command-uses-the-client',
      comment: 'Clients are for those outside.',
      severity: 'error',
      from: { path: '^packages/(control|gateway|credentials|sdk)/' },
      to: { path: '^packages/client/' },
    },
    {
      name: 'stores-belong-to-their-domain',
      comment: 'A domain of the control plane uses the service of another, never its store or its tables. running/ puts the domains together.',
      severity: 'error',
      from: { path: '^packages/control/src/([^/]+)/', pathNot: [isTestOrSupport, '^packages/control/src/running/'] },
      to: { path: '^packages/control/src/[^/]+/[^/]*-(?:store|tables)\\.ts$', pathNot: '^packages/control/src/$1/' },
    },
    ...layerRules,
    {
      name: 'stages-do-not-know-each-other',
      comment: 'A stage never imports another stage: pipeline.ts is the one file that knows their order.',
      severity: 'error',
      from: { path: `^${gateway}pipeline/`, pathNot: [`^${gateway}pipeline/pipeline\\.ts$`, isTest] },
      to: { path: `^${gateway}pipeline/(identify|admit|route|consult|select|resolve|inject|forward|review|sanitize|record|pipeline)\\.ts$` },
    },
    {
      name: 'wire-stands-alone',
      comment: 'The wire can be read and audited without the rest of the gateway.',
      severity: 'error',
      from: { path: `^${gateway}wire/`, pathNot: isTest },
      to: { path: '^packages/', pathNot: [`^${gateway}(wire/|exchange\\.ts$)`, '^packages/sdk/'] },
    },
    {
      name: 'exchange-stands-alone',
      comment: 'Everything imports the exchange, so it imports nothing but the sdk.',
      severity: 'error',
      from: { path: `^${gateway}exchange\\.ts$` },
      to: { path: '^packages/', pathNot: '^packages/sdk/' },
    },
    {
      name: 'sdk-has-no-dependencies',
      comment: 'A plugin author installs the sdk and nothing else.',
      severity: 'error',
      from: { path: '^packages/sdk/src/', pathNot: isTest },
      to: { dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg'] },
    },
    {
      name: 'shipped-code-uses-shipped-dependencies',
      comment: 'What a package imports at run time is in the dependencies of its own package.json.',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: isTestOrSupport },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only', 'npm-peer'] },
    },
    {
      name: 'tests-are-not-imported',
      comment: 'What two tests share is a file of its own.',
      severity: 'error',
      from: {},
      to: { path: isTest },
    },
    {
      name: 'imports-exist',
      comment: 'Every import can be found. When the package is one of ours, build first: npm run build.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^packages/[^/]+/dist/'] },
    exclude: { path: '^packages/[^/]+/dist/.*\\.test\\.' },
    tsPreCompilationDeps: true,
    combinedDependencies: false,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
