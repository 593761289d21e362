import { SignJWT } from 'jose';

export const JWT_SECRET = 'a secret of the bench alone, 32 characters and more';

/** What Supabase would sign for a user. */
export const tokenOf = (userId: string, jwtSecret: string): Promise<string> =>
  new SignJWT({ role: 'authenticated' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(userId)
    .setAudience('authenticated')
    .setExpirationTime('1 day')
    .sign(Buffer.from(jwtSecret));
