// What the page says, in plain words: the state of things, why a call ended and what to do next.
// Pure: from the session's snapshot to sentences.

/** @import { Denial } from './link.js' */
/** @import { Reason } from './call.js' */
/** @import { Session } from './session.js' */

/** @typedef {Session['snapshot']} Snapshot */

/**
 * The one word for scripts: what the page is about.
 *
 * @typedef {'connecting' | 'relay-lost' | 'denied' | 'registered' | 'refused'
 *   | 'calling' | 'answering' | 'connecting-media' | 'in-call' | 'interrupted'} State
 */

/**
 * @param {Snapshot} snapshot
 * @returns {State}
 */
export function stateOf({ call, link, isRelayLost, isDenied }) {
  switch (call?.phase) {
    case 'waiting': case 'dialling': return 'calling';
    case 'negotiating': return call.role === 'caller' ? 'calling' : 'answering';
    case 'connecting': return 'connecting-media';
    case 'connected': return 'in-call';
    case 'interrupted': return 'interrupted';
  }
  if (link === 'registered' || link === 'refused') return link;
  if (isDenied) return 'denied';
  return isRelayLost ? 'relay-lost' : 'connecting';
}

/**
 * The state in one or two sentences.
 *
 * @param {Snapshot} snapshot
 * @returns {string}
 */
export function describe(snapshot) {
  const { call, ended } = snapshot;
  if (call !== null) return describeCall(snapshot, call);
  const about = describeLink(snapshot);
  return ended === null ? about : `${describeEnd(ended.reason, peerName(ended.peer))} ${about}`;
}

/**
 * How it stands with our own camera and microphone, or nothing if there is nothing to say.
 *
 * @param {Snapshot} snapshot
 * @returns {string}
 */
export function describeSending({ call, agreedToSend }) {
  if (call === null) return '';
  switch (call.sending) {
    case 'opening': return 'Waiting for camera and microphone…';
    case 'on': return 'Your camera and microphone are sent.';
    case 'refused': return '';
    case 'off': return agreedToSend ? 'Your camera and microphone will be sent from the next call on.' : 'You are watching only.';
  }
}

/** @param {Snapshot} snapshot @param {NonNullable<Snapshot['call']>} call */
function describeCall({ link }, call) {
  const peer = peerName(call.peer);
  switch (call.phase) {
    case 'waiting': return `Connecting to the relay, then calling ${peer}…`;
    case 'dialling': return `Calling ${peer}…`;
    case 'negotiating': return call.role === 'caller' ? `${peer} is there. Waiting for the answer…` : `${peer} is calling. Answering…`;
    case 'connecting': return `${call.role === 'caller' ? `${peer} answered.` : `Answered ${peer}.`} Connecting picture and sound…`;
    case 'connected':
      return link === 'session' || link === 'registered' ? `In a call with ${peer}.`
        : `In a call with ${peer}. The relay is away; the call goes on without it.`;
    case 'interrupted': return `The connection to ${peer} is interrupted. Waiting for it to come back…`;
  }
}

/** @param {Snapshot} snapshot */
function describeLink({ id, link, isRelayLost, denial }) {
  if (denial !== null) return describeDenial(denial, id);
  switch (link) {
    case 'registered': return `Registered as ${id}. Others can call you, or you call them.`;
    case 'refused': return `The id ${id} is taken by somebody else. Choose another one.`;
    default: return isRelayLost ? 'The relay cannot be reached. Trying again…' : 'Connecting to the relay…';
  }
}

/** @param {Denial} denial @param {string} id */
function describeDenial(denial, id) {
  switch (denial) {
    case 'token-missing': return 'This relay asks for a token: open the address you were given, with #token=... at its end.';
    case 'token-refused': return 'This relay does not take the token of this page, which may have run out. Open the address you were given, with #token=... at its end, or ask for a new one.';
    case 'id': return `Your token does not allow the id ${id}. Use the id it was made for.`;
    case 'origin': return 'This relay lets in no page from this address. Open the page from an address that it allows, or ask whoever runs the relay to allow this one.';
    case 'too-many': return 'The relay has too many connections from your network. Close some; trying again…';
    case 'full': return 'The relay has too many peers or connections, or is about to stop. Trying again…';
    case 'no-websocket': return 'The relay answers, but opens no connection for this page: it may have too many, or a proxy in between may let no WebSocket through. Trying again…';
  }
}

/** @param {Reason} reason @param {string} peer */
function describeEnd(reason, peer) {
  switch (reason) {
    case 'hung-up': return 'You hung up.';
    case 'hung-up-by-peer': return `${peer} hung up.`;
    case 'not-found': return `Nobody is registered as ${peer}. Check the id, or call again when they are here.`;
    case 'busy': return `${peer} is busy. Call again a little later.`;
    case 'refused-by-relay': return `The relay refused the call to ${peer}.`;
    case 'relay-unreachable': return `${peer} could not be called.`;
    case 'relay-silent': return 'The relay did not answer. Call again.';
    case 'relay-lost': return 'The relay was lost before the call stood. Call again when it is back.';
    case 'no-answer': return `${peer} did not answer. Call again, or ask whether all is well there.`;
    case 'no-path': return `No way was found for picture and sound between you and ${peer}. A firewall may be in between; try the same network.`;
    case 'connection-lost': return `The connection to ${peer} was lost. Call again.`;
    case 'declined': return `${peer} did not take the call; it may be in another one. Call again a little later.`;
    case 'media-refused': return `You and ${peer} found no common picture or sound format.`;
    case 'replaced': return `${peer} called anew.`;
    case 'invalid-id': return 'That is no id: it has to be one word without blanks.';
    case 'yourself': return 'That is your own id. Call somebody else.';
    case 'no-id': return `${peer} was not called, because your own id is not yours to use. Choose another one first.`;
    case 'not-let-in': return `${peer} was not called.`;
    case 'not-allowed': return `Your token does not allow a call to ${peer}.`;
  }
}

/** @param {string | null} peer */
function peerName(peer) {
  return peer ?? 'Somebody';
}
