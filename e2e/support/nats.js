// Two machines behind two NATs, and a third place that both reach: networks of this machine alone.
//
//   alice 10.1.0.2 -- 10.1.0.1 NAT 203.0.113.1 --+
//                                                +-- 203.0.113.10 public
//   bob   10.2.0.2 -- 10.2.0.1 NAT 203.0.113.2 --+

import { spawnSync } from 'node:child_process';

/** Where relay and TURN server stand. */
export const PUBLIC = '203.0.113.10';

const SIDES = [
  { client: 'alice', nat: 'nat-alice', inner: '10.1.0', outer: '203.0.113.1' },
  { client: 'bob', nat: 'nat-bob', inner: '10.2.0', outer: '203.0.113.2' },
];
const PLACES = ['public', ...SIDES.flatMap(({ client, nat }) => [client, nat])];

/** How many networks this process has made. */
let made = 0;

export class Network {
  static async start() {
    const network = new Network();
    made += 1;
    network.number = made;
    network.forget = () => network.remove();
    process.on('exit', network.forget);
    try {
      network.make();
    } catch (error) {
      await network.stop();
      throw error;
    }
    return network;
  }

  /** What starts a program in one of the places. */
  within(place) {
    return ['ip', 'netns', 'exec', this.name(place)];
  }

  name(place) {
    return `aldis-${process.pid}-${this.number}-${place}`;
  }

  make() {
    for (const place of PLACES) {
      run(['ip', 'netns', 'add', this.name(place)]);
      run([...this.within(place), 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv4.ip_forward=1']);
      this.ip(place, 'link set lo up');
    }
    this.ip('public', 'link add bridge type bridge');
    this.address('public', 'bridge', `${PUBLIC}/24`);
    for (const { client, nat, inner, outer } of SIDES) {
      this.ip(nat, `link add outer type veth peer name ${client} netns ${this.name('public')}`);
      this.ip('public', `link set ${client} master bridge up`);
      this.address(nat, 'outer', `${outer}/24`);
      this.ip(nat, `link add inner type veth peer name inner netns ${this.name(client)}`);
      this.address(nat, 'inner', `${inner}.1/24`);
      this.address(client, 'inner', `${inner}.2/24`);
      this.ip(client, `route add default via ${inner}.1`);
    }
    // Nobody is there; without a route, what is for the inside of a NAT would be an error of coturn's.
    this.ip('public', 'route add default via 203.0.113.254');
  }

  /**
   * Lets both NATs work in one way from now on.
   *
   * @param {{ symmetric?: boolean, udp?: boolean }} [how] whether each partner sees another port;
   *   whether UDP passes
   */
  nat({ symmetric = false, udp = true } = {}) {
    for (const { nat } of SIDES) {
      // What comes in unasked must leave no trace, or it would take the port a hole is punched with.
      run([...this.within(nat), 'nft', '-f', '-'], `
        flush ruleset
        table ip nat {
          chain outwards {
            type nat hook postrouting priority 100; policy accept;
            oifname "outer" masquerade ${symmetric ? 'fully-random' : ''}
          }
        }
        table ip filter {
          chain to-itself {
            type filter hook input priority 0; policy drop;
          }
          chain through {
            type filter hook forward priority 0; policy accept;
            ${udp ? '' : 'meta l4proto udp drop'}
            iifname "outer" ct state new drop
          }
        }
      `);
    }
  }

  ip(place, words) {
    run(['ip', '-n', this.name(place), ...words.split(' ')]);
  }

  address(place, link, address) {
    this.ip(place, `address add ${address} dev ${link}`);
    this.ip(place, `link set ${link} up`);
  }

  remove() {
    for (const place of PLACES) spawnSync('ip', ['netns', 'delete', this.name(place)]);
  }

  async stop() {
    process.off('exit', this.forget);
    this.remove();
  }
}

function run([program, ...args], input) {
  const { status, stderr, error } = spawnSync(program, args, { input, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error ?? stderr}`);
}
