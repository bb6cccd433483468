#!/usr/bin/env node
import { main } from '../dist/main.js';

process.exitCode = await main(process.argv.slice(2));
// The command is over: a socket or a timer that somebody forgot must not keep the process.
setTimeout(() => process.exit(), 500).unref();
