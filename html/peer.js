// One RTCPeerConnection, from the first offer to its close, for one call.

import { CONTROL_LABEL, Control } from './control.js';
import { safetyWords } from './safety-words.js';

/** @import { Candidate, Description } from './protocol.js' */
/** @import { Ask } from './control.js' */
/** @import { Event } from './session.js' */

export class Peer {
  /** What comes from the partner. */
  remote = new MediaStream();
  /** Names our tracks as belonging together, before there are any. */
  #local = new MediaStream();
  /** Our own, once the devices are open; they wait for transceivers that can send them. @type {MediaStreamTrack[]} */
  #tracks = [];
  /** @type {RTCDtlsTransport | null} */
  #dtls = null;
  connection;
  /** Done when it is known which servers there are to use. */
  #configured = Promise.resolve();
  /** How often we began to describe our side; what was overtaken meanwhile is dropped. */
  #round = 0;
  /** Its number. */
  call = 0;
  /** @type {(event: Event) => void} */
  #emit = () => {};
  /** Done when the partner's picture, or its sound where there is no picture, begins to flow. */
  flowing;
  /** @type {() => void} */
  #flows = () => {};
  /** What a native client lets us ask for. */
  control = new Control();
  /** The channel on which it is asked. @type {RTCDataChannel | null} */
  #controlled = null;
  /** @type {() => void} */
  #onControl = () => {};
  #certificates;
  /** The servers it was made with. @type {RTCIceServer[]} */
  servers = [];

  /**
   * @param {RTCCertificate[]} certificates what we show to partners: another connection to one of them
   *   has to show the same
   */
  constructor(certificates) {
    this.#certificates = certificates;
    this.connection = new RTCPeerConnection({ ...CONFIGURATION, certificates });
    this.flowing = new Promise((resolve) => (this.#flows = () => resolve(undefined)));
  }

  /**
   * A connection may be made ahead of its call, which takes its making out of the call's time.
   *
   * @param {number} call its number
   * @param {(event: Event) => void} emit
   * @param {() => void} onRemote told when `remote` has its first track
   * @param {Promise<RTCConfiguration>} paths by which servers to go, soon
   * @param {() => void} onControl told when `control` has changed
   */
  open(call, emit, onRemote, paths, onControl) {
    const { connection } = this;
    this.#onControl = onControl;
    connection.ondatachannel = ({ channel }) => {
      if (channel.label === CONTROL_LABEL) this.#useControl(channel);
    };
    this.call = call;
    this.#emit = emit;
    this.#configured = this.#configure(paths);
    connection.onicecandidate = ({ candidate }) => this.#onCandidate(candidate);
    connection.onconnectionstatechange = () => emit({ type: 'connection', call, state: connection.connectionState });
    connection.ontrack = ({ receiver, track }) => {
      // The newest frame at once; sound keeps its own buffer, without which it would crackle.
      if (track.kind === 'video') receiver.jitterBufferTarget = 0;
      this.remote.addTrack(track);
      track.addEventListener('unmute', () => {
        if (track.kind === 'video' || this.remote.getVideoTracks().length === 0) this.#flows();
      }, { once: true });
      if (this.remote.getTracks().length === 1) onRemote();
    };
  }

  /** @param {boolean} send whether our own tracks will come */
  makeOffer(send) {
    return this.#negotiate(async (round) => {
      for (const kind of ['video', 'audio']) {
        this.connection.addTransceiver(kind, { direction: send ? 'sendrecv' : 'recvonly', streams: [this.#local] });
      }
      this.#attach();
      // What is not in the first offer cannot be had later without another one.
      if (this.#controlled === null) this.#useControl(this.connection.createDataChannel(CONTROL_LABEL));
      await this.#describe(await this.connection.createOffer(), round);
    });
  }

  /**
   * @param {Description} offer
   * @param {boolean} send whether our own tracks will come
   */
  makeAnswer(offer, send) {
    return this.#negotiate(async (round) => {
      await this.connection.setRemoteDescription(offer);
      for (const transceiver of this.connection.getTransceivers()) {
        if (!send || transceiver.direction !== 'recvonly') continue;
        transceiver.direction = 'sendrecv';
        transceiver.sender.setStreams(this.#local);
      }
      this.#attach();
      await this.#describe(await this.connection.createAnswer(), round);
    });
  }

  /** @param {Description} answer */
  acceptAnswer(answer) {
    return this.#negotiate(async () => {
      await this.connection.setRemoteDescription(answer);
      this.#watchPartner();
    });
  }

  /** @param {Candidate} candidate */
  async addCandidate(candidate) {
    try {
      await this.connection.addIceCandidate(candidate);
    } catch (error) {
      // One unusable candidate among others is no failure of the call.
      console.debug('a candidate was not usable:', error);
    }
  }

  /** Sends these tracks, now or as soon as it is negotiated. @param {MediaStream} stream */
  sendTracks(stream) {
    this.#tracks = stream.getTracks();
    this.#attach();
  }

  /** Sends nothing any more; the tracks themselves belong to whoever opened them. */
  stopSending() {
    this.#tracks = [];
    for (const sender of this.connection.getSenders()) sender.replaceTrack(null).catch(debug);
  }

  /**
   * Size and rate of the picture that is received; null while there is none.
   *
   * @returns {Promise<{ width: number, height: number, framesPerSecond: number } | null>}
   */
  async readPicture() {
    for (const report of (await this.connection.getStats()).values()) {
      if (report.type === 'inbound-rtp' && report.kind === 'video' && report.framesDecoded > 0) {
        return { width: report.frameWidth, height: report.frameHeight, framesPerSecond: report.framesPerSecond ?? 0 };
      }
    }
    return null;
  }

  /** Words to compare with the partner; null where there are none. */
  get safetyWords() {
    const { localDescription, remoteDescription } = this.connection;
    return localDescription === null || remoteDescription === null ? null : safetyWords(localDescription.sdp, remoteDescription.sdp);
  }

  /** How many bytes have come, of whatever kind, and whether they go through a TURN server of ours. */
  async readPath() {
    let received = 0;
    let isRelayed = false;
    const stats = await this.connection.getStats();
    for (const report of stats.values()) {
      // Firefox counts at the pairs alone. What both count may be counted twice: it matters that it grows.
      if (report.type === 'transport' || report.type === 'candidate-pair') received += report.bytesReceived ?? 0;
      if (report.type !== 'transport') continue;
      const pair = stats.get(report.selectedCandidatePairId ?? '');
      isRelayed ||= stats.get(pair?.localCandidateId ?? '')?.candidateType === 'relay';
    }
    return { received, isRelayed };
  }

  close() {
    const { connection } = this;
    connection.onicecandidate = connection.onconnectionstatechange = connection.ontrack = connection.ondatachannel = null;
    if (this.#controlled !== null) this.#controlled.onmessage = null;
    if (this.#dtls !== null) this.#dtls.onstatechange = null;
    for (const track of this.remote.getTracks()) this.remote.removeTrack(track);
    connection.close();
  }

  /** Asks the client for something. @param {Ask} ask */
  ask(ask) {
    if (this.#controlled?.readyState === 'open') this.#controlled.send(this.control.ask(ask));
  }

  /** @param {RTCDataChannel} channel */
  #useControl(channel) {
    this.#controlled = channel;
    channel.onmessage = ({ data }) => {
      for (const text of this.control.hear(data)) channel.send(text);
      this.#onControl();
    };
  }

  /** @param {(round: number) => Promise<void>} step */
  async #negotiate(step) {
    this.#round += 1;
    try {
      await step(this.#round);
    } catch (error) {
      if (this.connection.signalingState === 'closed') return;
      console.warn('the negotiation failed:', error);
      this.#emit({ type: 'negotiation-failed', call: this.call });
    }
  }

  /** @param {Promise<RTCConfiguration>} paths */
  async #configure(paths) {
    try {
      const configuration = await paths;
      this.servers = configuration.iceServers ?? [];
      if (this.connection.signalingState !== 'closed') this.connection.setConfiguration({ ...CONFIGURATION, certificates: this.#certificates, ...configuration });
    } catch (error) {
      // Without servers there may still be a way; the text may have an address of one.
      console.warn('the ICE servers were not usable:', error instanceof Error ? error.name : '');
    }
  }

  /** @param {RTCSessionDescriptionInit} description @param {number} round */
  async #describe({ type, sdp = '' }, round) {
    if (type !== 'offer' && type !== 'answer') return;
    // Candidates are gathered from here on.
    await this.#configured;
    if (round !== this.#round) return;
    const applied = this.connection.setLocalDescription({ type, sdp });
    // The partner works on it while the browser does.
    this.#emit({ type: 'local-description', call: this.call, description: { type, sdp } });
    await applied;
    if (type === 'answer') this.#watchPartner();
  }

  /** Puts our tracks on the transceivers that are to send and have nothing to send yet. */
  #attach() {
    for (const { sender, direction, receiver } of this.connection.getTransceivers()) {
      const track = this.#tracks.find(({ kind }) => kind === receiver.track.kind);
      const sends = direction === 'sendrecv' || direction === 'sendonly';
      if (track !== undefined && sends && sender.track === null) sender.replaceTrack(track).catch(debug);
    }
  }

  /** A partner that closes its connection says so in DTLS, also when the relay is away. */
  #watchPartner() {
    const dtls = this.connection.getTransceivers()[0]?.receiver.transport ?? null;
    if (dtls === null || dtls === this.#dtls) return;
    this.#dtls = dtls;
    dtls.onstatechange = () => {
      if (dtls.state === 'closed') this.#emit({ type: 'partner-closed', call: this.call });
    };
  }

  /** @param {RTCIceCandidate | null} candidate */
  #onCandidate(candidate) {
    if (candidate === null) {
      this.#emit({ type: 'local-candidate', call: this.call, candidate: null });
    } else if (candidate.candidate !== '' && candidate.sdpMLineIndex !== null) {
      const { candidate: text, sdpMLineIndex, sdpMid } = candidate;
      this.#emit({ type: 'local-candidate', call: this.call, candidate: { candidate: text, sdpMLineIndex, sdpMid: sdpMid ?? undefined } });
    }
  }
}

/**
 * The certificate that all connections of this page show; none where the browser makes one for each.
 *
 * @returns {Promise<RTCCertificate[]>}
 */
export async function makeCertificates() {
  try {
    const curve = /** @type {EcKeyGenParams} */ ({ name: 'ECDSA', namedCurve: 'P-256' });
    return [await RTCPeerConnection.generateCertificate(curve)];
  } catch (error) {
    console.warn('no certificate for the whole page:', error);
    return [];
  }
}

/** @type {RTCConfiguration} */
const CONFIGURATION = { iceServers: [], bundlePolicy: 'max-bundle' };

/** @param {unknown} error */
function debug(error) {
  console.debug('a track was not sent:', error);
}
