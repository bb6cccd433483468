import { direct } from './direct.mjs';
import { go } from './go.mjs';
import { haproxy } from './haproxy.mjs';
import { nginx } from './nginx.mjs';
import { sallyport } from './sallyport.mjs';

/** All variants, in the order in which each round runs them and the table shows them. */
export const variants = [sallyport, go, nginx, haproxy, direct];

/** Their names, as `--variants` takes them. */
export const variantNames = variants.map((variant) => variant.name);
