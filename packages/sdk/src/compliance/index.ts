export type { Check, ContractOptions } from './kit.js';
export { ContractViolation, contractChecks, routerChecks, verifyContract, verifyRouter } from './verify.js';
