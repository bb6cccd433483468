import { expect, test } from 'vitest';
import { controlMetricsPage } from './metrics-page.js';

// A page that is not what the code says fails here; `npx vitest run metrics-page -u` writes it anew.
test('docs/control-plane-metrics.md is up to date', async () => {
  await expect(controlMetricsPage()).toMatchFileSnapshot('../../../../docs/control-plane-metrics.md');
});
