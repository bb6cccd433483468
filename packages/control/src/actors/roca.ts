const PRIMES = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/** The remainders that 65537 generates modulo each prime. The weak generator made both factors, and so the modulus, out of these alone. */
const REMAINDERS = PRIMES.map((prime) => {
  const found = new Set<number>();
  for (let power = 1; !found.has(power); power = (power * 65537) % prime) found.add(power);
  return { prime: BigInt(prime), found };
});

/**
 * True for an RSA modulus with the mark of the generator of CVE-2017-15361, whose private keys can be computed from the public ones. One modulus in
 * about 2^27 has the mark by chance.
 */
export function hasRocaFingerprint(modulus: bigint): boolean {
  return REMAINDERS.every(({ prime, found }) => found.has(Number(modulus % prime)));
}
