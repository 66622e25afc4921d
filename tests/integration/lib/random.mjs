// random.mjs -- pseudo-random numbers from a printed seed: SYNC_TEST_SEED repeats a failed run.

export class Random {
  constructor(seed) {
    this.seed = seed;
    this.state = BigInt.asUintN(64, BigInt(seed));
  }

  // splitmix64
  #next() {
    this.state = BigInt.asUintN(64, this.state + 0x9e3779b97f4a7c15n);
    let z = this.state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }

  below(bound) {
    return Number(this.#next() % BigInt(bound));
  }

  between(low, high) {
    return low + this.below(high - low + 1);
  }

  chance(percent) {
    return this.below(100) < percent;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  shuffle(list) {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }
}

// The seed of this run: given, or new each time, so that repeated runs see different orders.
export function runSeed() {
  return Number(process.env.SYNC_TEST_SEED ?? Date.now() % 1_000_000_007);
}
