import { configValues, type ValueContext } from '@sallyport/gateway';
import { z } from 'zod';
import { parseSchedule } from '../tasks/schedule.js';
import { actorDirectoriesSection, actorsSection } from './actors-section.js';
import { issuersSection } from './issuers-section.js';
import { keyDataSchema } from './key-data.js';
import { keyProvidersSection } from './key-providers-section.js';

const { duration, durationOrOff, parsedText, text } = configValues;

const DAY = 86_400_000;
const MOST_PREVIOUS = 16;

/** Who is believed, who there is, and what everything that is stored is encrypted with. */
export function systemAuthSection(context: ValueContext) {
  return z
    .strictObject({
      global_key: keyDataSchema(context)
        .optional()
        .describe(
          'Where the key is that all others are encrypted with. When left out with SQLite: `global.key` beside the database, made together with it.',
        ),
      previous_global_keys: z
        .array(keyDataSchema(context))
        .max(MOST_PREVIOUS, `is longer than ${MOST_PREVIOUS}`)
        .prefault([])
        .describe('Where it was before; needed until everything has been wrapped with the new one.'),
      key_providers: keyProvidersSection(context),
      data_encryption_keys: z
        .strictObject({
          rotation_interval: durationOrOff(3_650 * DAY)
            .prefault('90d')
            .describe('How old the active version of a key may become; `off` to rotate by hand.'),
          destroy_after: duration(3_650 * DAY)
            .prefault('7d')
            .describe('How long a version that nothing uses any more is kept.'),
        })
        .prefault({})
        .describe('The versions of keys that what is stored is encrypted with.'),
      jwt_issuer: text('a name or URL').prefault('sallyport').describe('The `iss` of tokens that this system makes.'),
      token_lifetime: duration(30 * DAY)
        .prefault('1h')
        .describe('How long tokens may live that this system makes.'),
      actor_token_lifetime: duration(30 * DAY)
        .prefault('1h')
        .describe('How long tokens may live that an actor signs for itself.'),
      clock_leeway: duration(300_000).prefault('30s').describe('How far the clocks of others may differ.'),
      issuers: issuersSection(context),
      actors: actorsSection(context),
      actor_directories: actorDirectoriesSection(context),
      actor_sync_schedule: parsedText('a schedule', parseSchedule)
        .prefault('*/5 * * * *')
        .describe('When the directories are looked at: minute, hour, day, month and weekday, in UTC.'),
    })
    .superRefine(({ jwt_issuer, issuers }, issues) => {
      issuers.forEach(({ issuer }, index) => {
        if (issuer === jwt_issuer)
          issues.addIssue({ code: 'custom', path: ['issuers', index, 'issuer'], message: 'is the name of this system itself (jwt_issuer)' });
      });
    })
    .prefault({})
    .describe('Who is believed, who there is, and what everything that is stored is encrypted with.');
}
