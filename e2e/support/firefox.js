// Firefox, spoken to by WebDriver BiDi.

import puppeteer from 'puppeteer-core';
import { Page } from './browser.js';
import { Profile } from './profile.js';

const PREFERENCES = {
  // A camera and a microphone that are made up, and a person who allows both.
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  // Nothing is looked for that the network of the tests does not have.
  'app.update.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

export class Firefox {
  /** @param {Record<string, string>} env where its sound server is: without one it plays nothing */
  static async start(env = {}) {
    const firefox = new Firefox();
    firefox.profile = new Profile('firefox');
    firefox.browser = await puppeteer.launch({
      browser: 'firefox',
      executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
      headless: true,
      env: { ...process.env, ...env },
      userDataDir: firefox.profile.folder,
      extraPrefsFirefox: PREFERENCES,
    });
    return firefox;
  }

  /** Opens the page of a relay; `hash` is what follows the `#`. */
  async open(relay, hash = '') {
    const page = await this.browser.newPage();
    const view = new FirefoxPage(page);
    page.on('console', (message) => view.log.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => view.errors.push(String(error)));
    await page.goto(`${relay.page}#${hash}`);
    return view;
  }

  async stop() {
    await this.profile.remove(this.browser.close());
  }
}

class FirefoxPage extends Page {
  async agreeToSend() {
    await this.page.click('#send');
  }

  /** Whether this Firefox takes a codec: H.264 comes by a plugin that it downloads. */
  takes(codec) {
    return this.page.evaluate((codec) => RTCRtpReceiver.getCapabilities('video').codecs
      .some(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`), codec);
  }
}
