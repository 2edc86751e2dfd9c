// Networks of a test alone: machines, as network namespaces, with cables between them and this one.

import { spawnSync } from 'node:child_process';

let made = 0;

/** Runs `ip`, which must succeed. @param {string[]} args */
const ip = (...args) => run('ip', args);

/** Runs `tc`, which must succeed. @param {string[]} args */
const tc = (...args) => run('tc', args);

/** @param {string} program @param {string[]} args */
function run(program, args) {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`);
}

/**
 * From now on the packets that fit do not arrive in this network, until the test is over.
 *
 * @param {import('node:test').TestContext} t @param {string} packets in the words of nft
 */
export function lose(t, packets) {
  const nft = (rules) => {
    const { status, stderr } = spawnSync('nft', ['-f', '-'], { input: rules, encoding: 'utf8' });
    if (status !== 0) throw new Error(`nft: ${stderr}`);
  };
  t.after(() => nft('delete table inet lossy'));
  nft(`table inet lossy {\nchain arrivals {\ntype filter hook input priority 0;\n${packets} drop\n}\n}\n`);
}

/** A machine with cables to this one, over which it reaches everything that this one does. */
export class Machine {
  /** @type {{ inside: string, outside: string, gateway: string }[]} */
  cables = [];

  constructor() {
    made += 1;
    this.name = `aldis-${process.pid}-${made}`;
    this.number = made;
    ip('netns', 'add', this.name);
    ip('-n', this.name, 'link', 'set', 'lo', 'up');
    // What goes from one machine to another goes through this one.
    spawnSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  }

  static async start(cables = 1) {
    const machine = new Machine();
    for (let index = 0; index < cables; index += 1) machine.plug(index === 0);
    return machine;
  }

  /** Plugs in one more cable, which is live at once or later. @param {boolean} isLive */
  plug(isLive) {
    const index = this.cables.length;
    const net = `10.${80 + this.number}.${index}`;
    // A name of an interface has fifteen letters at the most.
    const outside = `al${process.pid % 100_000}m${this.number}c${index}`;
    const inside = `c${index}`;
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', this.name);
    ip('address', 'add', `${net}.1/24`, 'dev', outside);
    ip('-n', this.name, 'address', 'add', `${net}.2/24`, 'dev', inside);
    // An address of IPv6 would be usable only after a second or two, and would be one more way.
    for (const [where, dev] of [[[], outside], [['netns', 'exec', this.name], inside]]) {
      const key = `net.ipv6.conf.${dev}.disable_ipv6=1`;
      if (where.length === 0) spawnSync('sysctl', ['-qw', key]);
      else ip(...where, 'sysctl', '-qw', key);
    }
    ip('link', 'set', outside, 'up');
    this.cables.push({ inside, outside, gateway: `${net}.1` });
    if (isLive) this.connect(index);
  }

  /** Makes a cable live. @param {number} index */
  connect(index) {
    const { inside, gateway } = this.cables[index];
    ip('-n', this.name, 'link', 'set', inside, 'up');
    ip('-n', this.name, 'route', 'add', 'default', 'via', gateway, 'metric', String(100 + index));
  }

  /** Pulls a cable. @param {number} index */
  disconnect(index) {
    ip('-n', this.name, 'link', 'set', this.cables[index].inside, 'down');
  }

  /**
   * What the machine sends by a cable goes no faster from now on, and waits for up to 200 ms; without
   * a rate it is as fast as it can be again.
   *
   * @param {number} index @param {number} [kbps] in kilobits a second
   */
  throttle(index, kbps) {
    const queue = ['-n', this.name, 'qdisc', kbps === undefined ? 'delete' : 'replace', 'dev', this.cables[index].inside, 'root'];
    tc(...queue, ...(kbps === undefined ? [] : ['tbf', 'rate', `${kbps}kbit`, 'burst', '16kb', 'latency', '200ms']));
  }

  async stop() {
    spawnSync('ip', ['netns', 'delete', this.name]);
    for (const { outside } of this.cables) spawnSync('ip', ['link', 'delete', outside]);
  }
}
