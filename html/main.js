// The loop: the only file that knows all the others. Events from the relay, the connection, the
// devices and the person go into the session; its effects come out and are carried out in order.

import { parseHash, randomId, relayUrl } from './address.js';
import { closeDevices, openDevices } from './devices.js';
import { Entrance } from './entrance.js';
import { Loan } from './ice-servers.js';
import { MachineView } from './machine.js';
import { makeCertificates, Peer } from './peer.js';
import { Session } from './session.js';
import { Signaller } from './signaller.js';
import { View } from './view.js';
import { stateOf } from './words.js';

/** @import { Effect, Event } from './session.js' */

const session = new Session(Math.random);
const view = new View({
  call: (peer) => call(peer, session.snapshot.agreedToSend),
  hangUp: () => dispatch({ type: 'hang-up' }),
  changeId: (id) => dispatch({ type: 'change-id', id }),
  otherId: () => dispatch({ type: 'change-id', id: randomId(Math.random()) }),
  agreeToSend,
});

const machine = new MachineView((ask) => peer?.ask(ask));

/** @type {Signaller} */
let signaller;
/** @type {Entrance} */
let entrance;
/** The STUN and TURN servers we may use for now. */
const loan = new Loan();
/** Whether calls go through TURN servers only. */
let isRelayOnly = false;
/** The connection of the present call. @type {Peer | null} */
let peer = null;
/** The connection that is to take the place of that one. @type {Peer | null} */
let second = null;
/** What all connections show. @type {RTCCertificate[]} */
let certificates = [];
/** The words of the present call. @type {{ call: number, words: string | null }} */
let safety = { call: 0, words: null };
/** What the partner was last seen to have sent, and when. */
let heard = { received: 0, at: 0 };
/** The connection of the next call, made while there is none. @type {Peer | null} */
let spare = null;
/** Our own camera and microphone, while they are sent. @type {MediaStream | null} */
let devices = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** The frames of the present or last call; `before` is null until the first frame of its connection. */
let frames = newFrames();

/** How long what comes over a new connection is waited for before it is shown. */
const FLOWING_MS = 1000;

/** How long the connection before it stays open then. */
const CLOSE_MS = 500;

/** How often the session is told for how long nothing has come. */
const LISTEN_MS = 500;

/** How long a call may wait to learn which servers there are. */
const SERVERS_MS = 1000;

/** Events that came up while another one was being handled. @type {Event[]} */
const waiting = [];
let isBusy = false;

void start();

async function start() {
  certificates = await makeCertificates();
  const url = relayUrl(location.href);
  if (url === null) {
    view.showNotice('This address names no relay. It should end in ?relay=wss://some.host/ or the page be opened from a relay.');
    return;
  }
  entrance = new Entrance(url, (answer) => {
    loan.onAnswer(answer, Date.now());
    void renewCredentials();
  });
  entrance.readAddress();
  signaller = new Signaller(entrance, dispatch);
  const wishes = parseHash(location.hash);
  isRelayOnly = wishes.relayOnly;
  dispatch({ type: 'start', id: wishes.id ?? entrance.peer ?? randomId(Math.random()) });
  if (wishes.call !== null) call(wishes.call, wishes.send);
  addEventListener('hashchange', onHashChange);
  // Whoever is left behind shall know at once, with or without a relay.
  addEventListener('pagehide', () => dispatch({ type: 'hang-up' }));
  addEventListener('online', () => dispatch({ type: 'retry' }));
  setInterval(() => {
    void showFigures();
    keepServersFresh();
  }, 1000);
  setInterval(listen, LISTEN_MS);
}

function onHashChange() {
  const isOther = entrance.readAddress();
  if (isOther) {
    loan.forget();
    dispatch({ type: 'new-token' });
  }
  const wishes = parseHash(location.hash);
  isRelayOnly = wishes.relayOnly;
  const id = wishes.id ?? (isOther ? entrance.peer : null);
  if (id !== null) dispatch({ type: 'change-id', id });
  if (wishes.call === null) return;
  // Only the address with which the page was opened may turn the camera on: another page that opened this
  // one could change it later.
  call(wishes.call, false);
  if (wishes.send) view.showNotice('To send your camera and microphone, reload this page, or tick the box and call again.');
}

/** @param {string} callee @param {boolean} send */
function call(callee, send) {
  view.showNotice('');
  view.suggestPeer(callee);
  dispatch({ type: 'call', peer: callee, send });
}

/** @param {Event} event */
function dispatch(event) {
  waiting.push(event);
  if (isBusy) return;
  isBusy = true;
  try {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      for (const effect of session.handle(next, performance.now())) perform(effect);
    }
  } finally {
    isBusy = false;
  }
  clearTimeout(timer);
  if (session.deadline < Infinity) {
    timer = setTimeout(() => dispatch({ type: 'tick' }), session.deadline - performance.now());
  }
  view.render(session.snapshot);
  findSafetyWords();
  if (session.snapshot.link === 'registered' && peer === null) spare ??= new Peer(certificates);
  keepServersFresh();
}

/** @param {Effect} effect */
function perform(effect) {
  switch (effect.type) {
    case 'connect': signaller.connect(); break;
    case 'disconnect': signaller.disconnect(); break;
    case 'send': signaller.send(effect.line); break;
    case 'open-peer': openPeer(effect.call); break;
    case 'open-second': openSecond(effect.call); break;
    case 'replace-peer': void replacePeer(); break;
    case 'make-offer': void peerOf(effect.call)?.makeOffer(effect.send); break;
    case 'make-answer': void peerOf(effect.call)?.makeAnswer(effect.description, effect.send); break;
    case 'accept-answer': void peerOf(effect.call)?.acceptAnswer(effect.description); break;
    case 'add-candidate': void peerOf(effect.call)?.addCandidate(effect.candidate); break;
    case 'close-peer': closePeer(effect.call); break;
    case 'open-devices': void sendDevices(effect.call); break;
    case 'close-devices': stopDevices(); break;
    case 'ignored': console.debug('ignored:', effect.what); break;
  }
}

/** @param {number} number */
function openPeer(number) {
  frames = newFrames();
  const opened = spare ?? new Peer(certificates);
  spare = null;
  opened.open(number, dispatch, () => view.showRemote(opened.remote, countFrame), findPaths(), showMachine);
  peer = opened;
}

/** @param {number} number */
function openSecond(number) {
  second = new Peer(certificates);
  second.open(number, dispatch, () => {}, findPaths(), showMachine);
  if (devices !== null) second.sendTracks(devices);
}

/** Shows what comes over the second connection as soon as something does, and closes the first. */
async function replacePeer() {
  const [first, next] = [peer, second];
  if (first === null || next === null) return;
  [peer, second] = [next, null];
  next.control.succeed(first.control);
  heard = { received: 0, at: performance.now() };
  await Promise.race([next.flowing, new Promise((resolve) => setTimeout(resolve, FLOWING_MS))]);
  if (peer === next) {
    frames.kept = frames.presented;
    frames.before = null;
    frames.replacements += 1;
    view.showOther(next.remote);
    showMachine();
  }
  // The partner shall have changed over too before it is told.
  setTimeout(() => first.close(), CLOSE_MS);
}

/** @param {number} number of a connection */
function peerOf(number) {
  return second?.call === number ? second : peer;
}

/** Has servers at hand for a call that begins. */
function keepServersFresh() {
  const { link } = session.snapshot;
  if ((link === 'registered' || link === 'session') && loan.isDue(Date.now())) void entrance.ask();
}

/** By which servers a call goes. What is not known soon is done without. @returns {Promise<RTCConfiguration>} */
async function findPaths() {
  if (loan.isDue(Date.now()) && !loan.isValid(Date.now())) {
    await Promise.race([entrance.ask(), new Promise((resolve) => setTimeout(resolve, SERVERS_MS))]);
  }
  return { iceServers: loan.servers(Date.now()), iceTransportPolicy: isRelayOnly ? 'relay' : 'all' };
}

function newFrames() {
  return {
    /** @type {number | null} */ firstMs: null,
    /** @type {number | null} */ before: null,
    kept: 0, presented: 0, lastMs: 0, outageMs: 0, replacements: 0,
  };
}

/** @param {number} presented since the element shows this stream */
function countFrame(presented) {
  const now = performance.now();
  frames.firstMs ??= now;
  if (frames.before === null) {
    frames.before = presented - 1;
    if (frames.kept > 0) frames.outageMs = now - frames.lastMs;
  }
  frames.lastMs = now;
  frames.presented = frames.kept + presented - frames.before;
}

/** @param {number} number of the connection */
function closePeer(number) {
  if (second?.call === number) {
    second.close();
    second = null;
    return;
  }
  peer?.close();
  peer = null;
  view.hideRemote();
  view.showFigures('');
  showMachine();
}

/** Shows what the client we see lets us ask for. */
function showMachine() {
  machine.render(peer?.control ?? null);
}

/** Once in a call: they come from the certificates of both ends, and stay the same. */
function findSafetyWords() {
  const { call } = session.snapshot;
  if (call === null) safety = { call: 0, words: null };
  else if (call.phase === 'connected' && safety.call !== call.number) safety = { call: call.number, words: peer?.safetyWords ?? null };
  view.showSafetyWords(safety.words);
}

/** Lets the session know for how long nothing has come. */
async function listen() {
  const asked = peer;
  const { call } = session.snapshot;
  if (asked === null || (call?.phase !== 'connected' && call?.phase !== 'interrupted')) {
    heard = { received: 0, at: performance.now() };
    return;
  }
  const { received } = await asked.readPath();
  if (asked !== peer) return;
  const now = performance.now();
  if (received !== heard.received) heard = { received, at: now };
  dispatch({ type: 'silence', call: asked.call, ms: now - heard.at });
}

/** What was shown to a TURN server of ours expires: a connection with what is lent now takes over. */
async function renewCredentials() {
  const asked = peer;
  if (asked === null || !loan.isValid(Date.now())) return;
  if (JSON.stringify(loan.servers(Date.now())) === JSON.stringify(asked.servers)) return;
  const { isRelayed } = await asked.readPath();
  if (isRelayed && asked === peer) dispatch({ type: 'credentials', call: asked.call });
}

/** @param {boolean} agreed */
async function agreeToSend(agreed) {
  view.showNotice('');
  dispatch({ type: 'agree-to-send', agreed });
  if (!agreed || session.snapshot.call?.sending === 'opening') return;
  // Nothing to send to yet: have the browser ask its question now, while the person is here.
  try {
    closeDevices(await openDevices());
  } catch (error) {
    refuseDevices(error);
  }
}

/** @param {number} number of the call */
async function sendDevices(number) {
  const isWanted = () => {
    const { call } = session.snapshot;
    return call?.number === number && call.sending === 'opening';
  };
  try {
    const opened = await openDevices();
    if (!isWanted()) return closeDevices(opened);
    devices = opened;
    peer?.sendTracks(opened);
    second?.sendTracks(opened);
    view.showPreview(opened);
    dispatch({ type: 'devices', call: number, opened: true });
  } catch (error) {
    if (!isWanted()) return;
    dispatch({ type: 'devices', call: number, opened: false });
    refuseDevices(error);
  }
}

/** @param {unknown} error */
function refuseDevices(error) {
  view.showNotice(error instanceof Error ? error.message : String(error));
  dispatch({ type: 'agree-to-send', agreed: false });
}

function stopDevices() {
  peer?.stopSending();
  second?.stopSending();
  if (devices !== null) closeDevices(devices);
  devices = null;
  view.showPreview(null);
}

async function showFigures() {
  const { call } = session.snapshot;
  const asked = peer;
  if (asked === null || call?.phase !== 'connected') return view.showFigures('');
  const picture = await asked.readPicture();
  if (asked !== peer) return;
  view.showFigures(picture === null ? ''
    : `${picture.width} × ${picture.height}, ${Math.round(picture.framesPerSecond)} frames a second`);
}

/**
 * For scripts and developers: what is, read-only, at the moment of reading.
 *
 * - `id`: our own id
 * - `state`: 'connecting' | 'relay-lost' | 'denied' (not let in) | 'registered' | 'refused' (id taken or not
 *   ours to use) | 'calling' | 'answering' | 'connecting-media' | 'in-call' | 'interrupted'
 * - `link`: how we stand with the relay, also during a call: 'offline' | 'connecting' | 'greeting'
 *   | 'registered' | 'session' | 'closing' | 'waiting' | 'refused'
 * - `denial`: why the relay does not let us in, a word of `Denial` in link.js; null if it does, or has not said
 * - `peer`: id of the partner in this or the last call; null for none, or one the relay did not name
 * - `reason`: why the last call ended, a word of `Reason` in session.js; null during a call
 * - `sending`: our camera and microphone: 'off' | 'opening' | 'on' | 'refused'
 * - `connectionState`: of the RTCPeerConnection; null between calls
 * - `callStartedMs`: performance.now() when SESSION was sent; null if we were called
 * - `firstFrameMs`: performance.now() when the first frame was presented; null until then
 * - `videoWidth`, `videoHeight`: of the picture that is shown; 0 without one
 * - `framesPresented`: frames presented in this or the last call
 * - `safetyWords`: words that the partner sees too when nobody sits in between; null for none
 * - `reconnections`: how often another connection has taken the place of the one of this or the last call
 * - `outageMs`: how long no frame was presented when that last happened
 * - `pc`: the RTCPeerConnection; null between calls
 */
const aldis = Object.freeze({
  get id() { return session.snapshot.id; },
  get state() { return stateOf(session.snapshot); },
  get link() { return session.snapshot.link; },
  get denial() { return session.snapshot.denial; },
  get peer() { const { call, ended } = session.snapshot; return (call ?? ended)?.peer ?? null; },
  get reason() { return session.snapshot.ended?.reason ?? null; },
  get sending() { return session.snapshot.call?.sending ?? 'off'; },
  get connectionState() { return peer?.connection.connectionState ?? null; },
  get callStartedMs() { return session.snapshot.dialledAt; },
  get firstFrameMs() { return frames.firstMs; },
  get videoWidth() { return view.pictureSize.width; },
  get videoHeight() { return view.pictureSize.height; },
  get framesPresented() { return frames.presented; },
  get safetyWords() { return safety.words; },
  get reconnections() { return frames.replacements; },
  get outageMs() { return frames.outageMs; },
  get pc() { return peer?.connection ?? null; },
});
Object.defineProperty(globalThis, 'aldis', { value: aldis });
