export { type Caller, type DoorName, Exchange, type ExchangeKind, type Outcome, type PolicyVerdict } from './exchange.js';
export { Gateway, type GatewayOptions, type Ports, startGateway } from './gateway.js';
