import { zip } from '../zip.js';

/** The one proxy that the agent gives a user name and a password to, and no other. */
export interface JavaProxy {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

const CLASS_NAME = 'SallyportAgent';
/** Java 5: every Java since then loads it, and it needs no stack maps. */
const CLASS_VERSION = 49;
const PUBLIC = 0x0001;
const PROTECTED = 0x0004;
const STATIC = 0x0008;
const SUPER = 0x0020;

/**
 * A JAR for `-javaagent:`. Java takes the address of a proxy from properties, but asks an Authenticator for user name and password, and that has to
 * be code. This is the class file (JVM specification §4) of
 *
 *     public class SallyportAgent extends Authenticator {
 *       public static void premain(String arguments) { Authenticator.setDefault(new SallyportAgent()); }
 *       protected PasswordAuthentication getPasswordAuthentication() {
 *         if (getRequestorType() != RequestorType.PROXY || getRequestingPort() != PORT || !HOST.equals(getRequestingHost())) return null;
 *         return new PasswordAuthentication(USERNAME, PASSWORD.toCharArray());
 *       }
 *     }
 *
 * with the values in it. Whoever can read the JAR has the password.
 */
export function javaAgent(proxy: JavaProxy): Buffer {
  const manifest = `Manifest-Version: 1.0\r\nPremain-Class: ${CLASS_NAME}\r\n\r\n`;
  return zip([
    { name: 'META-INF/MANIFEST.MF', content: Buffer.from(manifest) },
    { name: `${CLASS_NAME}.class`, content: agentClass(proxy) },
  ]);
}

function agentClass({ host, port, username, password }: JavaProxy): Buffer {
  const pool = constantPool();
  const self = pool.class(CLASS_NAME);
  const authenticator = pool.class('java/net/Authenticator');
  const superInit = pool.method('java/net/Authenticator', '<init>', '()V');
  const selfInit = pool.method(CLASS_NAME, '<init>', '()V');
  const setDefault = pool.method('java/net/Authenticator', 'setDefault', '(Ljava/net/Authenticator;)V');
  const requestorType = pool.method(CLASS_NAME, 'getRequestorType', '()Ljava/net/Authenticator$RequestorType;');
  const proxyType = pool.field('java/net/Authenticator$RequestorType', 'PROXY', 'Ljava/net/Authenticator$RequestorType;');
  const requestingPort = pool.method(CLASS_NAME, 'getRequestingPort', '()I');
  const requestingHost = pool.method(CLASS_NAME, 'getRequestingHost', '()Ljava/lang/String;');
  const equals = pool.method('java/lang/String', 'equals', '(Ljava/lang/Object;)Z');
  const toCharArray = pool.method('java/lang/String', 'toCharArray', '()[C');
  const answer = pool.class('java/net/PasswordAuthentication');
  const answerInit = pool.method('java/net/PasswordAuthentication', '<init>', '(Ljava/lang/String;[C)V');
  const [portValue, hostValue, user, pass] = [pool.integer(port), pool.string(host), pool.string(username), pool.string(password)];

  const give = [
    NEW,
    ...u2(answer),
    DUP,
    LDC_W,
    ...u2(user),
    LDC_W,
    ...u2(pass),
    INVOKEVIRTUAL,
    ...u2(toCharArray),
    INVOKESPECIAL,
    ...u2(answerInit),
    ARETURN,
  ];
  // Each condition jumps over the rest and `give` to the end, which answers null; a jump counts from its own first byte.
  const hostDiffers = [
    LDC_W,
    ...u2(hostValue),
    ALOAD_0,
    INVOKEVIRTUAL,
    ...u2(requestingHost),
    INVOKEVIRTUAL,
    ...u2(equals),
    IFEQ,
    ...u2(3 + give.length),
  ];
  const afterPort = [...hostDiffers, ...give];
  const portDiffers = [ALOAD_0, INVOKEVIRTUAL, ...u2(requestingPort), LDC_W, ...u2(portValue), IF_ICMPNE, ...u2(3 + afterPort.length)];
  const afterType = [...portDiffers, ...afterPort];
  const noProxy = [ALOAD_0, INVOKEVIRTUAL, ...u2(requestorType), GETSTATIC, ...u2(proxyType), IF_ACMPNE, ...u2(3 + afterType.length)];

  const code = pool.utf8('Code');
  const method = (access: number, name: string, descriptor: string, locals: number, bytes: readonly number[]): number[] => [
    ...u2(access),
    ...u2(pool.utf8(name)),
    ...u2(pool.utf8(descriptor)),
    ...u2(1),
    ...u2(code),
    ...u4(12 + bytes.length),
    ...u2(DEEPEST_STACK),
    ...u2(locals),
    ...u4(bytes.length),
    ...bytes,
    ...u2(0),
    ...u2(0),
  ];
  const methods = [
    method(PUBLIC, '<init>', '()V', 1, [ALOAD_0, INVOKESPECIAL, ...u2(superInit), RETURN]),
    method(PUBLIC | STATIC, 'premain', '(Ljava/lang/String;)V', 1, [
      NEW,
      ...u2(self),
      DUP,
      INVOKESPECIAL,
      ...u2(selfInit),
      INVOKESTATIC,
      ...u2(setDefault),
      RETURN,
    ]),
    method(PROTECTED, 'getPasswordAuthentication', '()Ljava/net/PasswordAuthentication;', 1, [...noProxy, ...afterType, ACONST_NULL, ARETURN]),
  ];
  const noInterfacesNoFields = [...u2(0), ...u2(0)];
  const body = [
    ...u2(PUBLIC | SUPER),
    ...u2(self),
    ...u2(authenticator),
    ...noInterfacesNoFields,
    ...u2(methods.length),
    ...methods.flat(),
    ...u2(0),
  ];
  return Buffer.concat([Buffer.of(0xca, 0xfe, 0xba, 0xbe, ...u2(0), ...u2(CLASS_VERSION)), pool.bytes(), Buffer.from(body)]);
}

const DEEPEST_STACK = 4;
const ACONST_NULL = 0x01;
const LDC_W = 0x13;
const ALOAD_0 = 0x2a;
const DUP = 0x59;
const IFEQ = 0x99;
const IF_ICMPNE = 0xa0;
const IF_ACMPNE = 0xa6;
const ARETURN = 0xb0;
const RETURN = 0xb1;
const GETSTATIC = 0xb2;
const INVOKEVIRTUAL = 0xb6;
const INVOKESPECIAL = 0xb7;
const INVOKESTATIC = 0xb8;
const NEW = 0xbb;

const UTF8 = 1;
const INTEGER = 3;
const CLASS = 7;
const STRING = 8;
const FIELD = 9;
const METHOD = 10;
const NAME_AND_TYPE = 12;

/** The constant pool of a class file: each function answers the index of its constant. All texts are ASCII. */
function constantPool() {
  const constants: Buffer[] = [];
  const add = (...bytes: readonly number[]): number => constants.push(Buffer.from(bytes));
  const utf8 = (text: string): number => add(UTF8, ...u2(text.length), ...Buffer.from(text, 'ascii'));
  const classOf = (name: string): number => add(CLASS, ...u2(utf8(name)));
  const member = (kind: number, owner: string, name: string, type: string): number =>
    add(kind, ...u2(classOf(owner)), ...u2(add(NAME_AND_TYPE, ...u2(utf8(name)), ...u2(utf8(type)))));
  return {
    utf8,
    class: classOf,
    integer: (value: number) => add(INTEGER, ...u4(value)),
    string: (text: string) => add(STRING, ...u2(utf8(text))),
    field: (owner: string, name: string, type: string) => member(FIELD, owner, name, type),
    method: (owner: string, name: string, type: string) => member(METHOD, owner, name, type),
    bytes: () => Buffer.concat([Buffer.of(...u2(constants.length + 1)), ...constants]),
  };
}

function u2(value: number): [number, number] {
  return [value >>> 8, value & 0xff];
}

function u4(value: number): [number, number, number, number] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}
